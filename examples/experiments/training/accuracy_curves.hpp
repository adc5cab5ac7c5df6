#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/report/curves.hpp"
#include "experiments/training/training.hpp"

namespace training {

/// A network whose test accuracy is to be drawn.
struct DrawnRuns {
  std::string word, title;  ///< its column of the CSV file, and its name in the key
  report::Look look;
  const std::vector<Run>* runs;  ///< one for each seed
};

/// Whether a file has the accuracies of each seed too.
enum class SeedColumns { no, yes };

/// Writes a CSV file of test accuracies and returns the curves in it. A row for each step after which any network was
/// tested; columns: the step, the mean over the seeds of each network, if wanted the accuracies of the first seed's
/// networks, of the second's, ..., and last the standard deviation over the seeds of each network, `<word>_std`, whose
/// cells are empty if there is one seed.
std::vector<report::Curve> write_accuracy_curves(const std::filesystem::path& path,
                                                 const std::vector<DrawnRuns>& networks,
                                                 SeedColumns seed_columns = SeedColumns::no);

}  // namespace training
