#include "program/experiment.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "examples/data/idx_files.hpp"
#include "program/sigmoid_network.hpp"

namespace {

TEST(Experiment, TrainsAllJobsAndShowsWhoeverLooksTheTrainedNetwork) {
  const testing_support::Folder folder;
  folder.write("train-images-idx3-ubyte", testing_support::idx_images(60));
  folder.write("train-labels-idx1-ubyte", testing_support::idx_labels(60));
  folder.write("t10k-images-idx3-ubyte", testing_support::idx_images(20, 1));
  folder.write("t10k-labels-idx1-ubyte", testing_support::idx_labels(20));
  program::Protocol protocol;
  protocol.steps = 3;
  protocol.batch = 20;
  protocol.every = 3;
  protocol.population_batches = 0;
  std::vector<program::Job> jobs;
  std::vector<double> seen(21);  // more than there are lines of progress for
  testing::internal::CaptureStdout();
  const program::Experiment experiment({.data = folder.path(), .output = folder.path() / "results"}, protocol,
                                       "headline");
  for (std::size_t i = 0; i < seen.size(); ++i) {
    program::Protocol own = protocol;
    own.learning_rate = {i == 0 ? 1e-9 : 1.0};
    jobs.push_back({"job", own, i % 2, [i] { return program::make_sigmoid_network({.seed = i % 2}); },
                    [&, i](program::Network& network) {
                      seen[i] = program::accuracy(program::class_probabilities(network.model, experiment.test()),
                                                  experiment.test());
                    }});
  }
  const std::vector<program::Run> runs = experiment.train(jobs);
  EXPECT_EQ(experiment.finish({}, {"table"}), 0);
  const std::string output = testing::internal::GetCapturedStdout();
  EXPECT_EQ(output.find("headline\nData: MNIST, 60 + 20 images\n"), 0U) << output;
  EXPECT_NE(output.find("table.csv"), std::string::npos) << output;

  ASSERT_EQ(runs.size(), seen.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].seed, i % 2);
    EXPECT_EQ(runs[i].steps_made, 3);
    EXPECT_EQ(runs[i].running_accuracy, seen[i]);
    EXPECT_EQ(seen[i], seen[i < 3 ? i : i - 2]) << "the same job gives the same network";
  }
}

}  // namespace
