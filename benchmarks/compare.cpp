// Batch normalization beside the machine's limit, beside loops and expressions written by hand, and, where they are
// installed, beside oneDNN and LibTorch. All candidates of a shape take turns in one process; tables show medians of
// ratios within one round. README.md says how to read them.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <new>
#include <sstream>

#include "candidates/candidate.hpp"
#include "candidates/problem.hpp"
#include "measuring/allocation.hpp"
#include "measuring/machine.hpp"
#include "measuring/report.hpp"
#include "measuring/rounds.hpp"
#include "measuring/verify.hpp"
#include "random_shapes.hpp"

namespace {

using namespace benchmarks;

struct Options {
  std::vector<Pass> passes{Pass::forward, Pass::backward, Pass::inference};
  std::vector<Layout> layouts{Layout::planes, Layout::rows, Layout::matrices};
  std::vector<Activation> activations{Activation::identity};
  std::vector<std::string> shapes{"kernels"}, without;
  int random = 0;
  std::uint64_t seed = 1;
  std::vector<int> threads{1};
  Schedule schedule;
  std::string csv;
};

/// An option that takes several of an enumeration's values, by name.
template <class Value>
void add_choice(CLI::App& app, const char* name, std::vector<Value>& values, std::vector<Value> all, std::string text) {
  const auto number_of = [=](const std::string& got) {
    std::string names;
    for (const Value value : all) {
      if (name_of(value) == got) return std::to_string(static_cast<int>(value));
      names += (names.empty() ? "" : ", ") + name_of(value);
    }
    throw CLI::ValidationError("expected one of " + names + ", got '" + got + "'");
  };
  app.add_option(name, values, text)->delimiter(',')->transform(number_of);
}

void add_options(CLI::App& app, Options& options) {
  const std::vector passes = options.passes;
  const std::vector layouts = options.layouts;
  add_choice(app, "--pass", options.passes, passes, "forward, backward, inference");
  add_choice(app, "--layout", options.layouts, layouts, "planes (NCHW), rows (NHWC), matrices");
  add_choice(app, "--activation", options.activations, {Activation::identity, Activation::relu}, "identity, relu");
  auto* shapes = app.add_option("--shapes", options.shapes,
                                "kernels, odd, resnet50, mlp, all, or samples x channels x plane: 32x64x3136")
                     ->delimiter(',')
                     ->capture_default_str();
  auto* random =
      app.add_option("--random", options.random, "instead: so many random images, and so many random matrices")
          ->check(CLI::Range(1, 1000))
          ->excludes(shapes);
  app.add_option("--seed", options.seed, "which ones")
      ->check([](const std::string& got) {  // CLI11 wraps it around
        return got.starts_with('-') ? "expected a whole number from 0 on, got " + got : "";
      })
      ->needs(random)
      ->capture_default_str();
  app.add_option("--without", options.without, "leave out: limit, plain, naive, onednn, libtorch")
      ->delimiter(',')
      ->check(CLI::IsMember({"limit", "plain", "naive", "onednn", "libtorch"}));
  app.add_option("--threads", options.threads,
                 "threads of each candidate but the loops and expressions; with several numbers, how much faster this "
                 "library and the limit are with the others than with the first")
      ->delimiter(',')
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_option("--rounds", options.schedule.rounds, "rounds for each shape")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--seconds", options.schedule.seconds, "begin no further round of a shape after this time")
      ->check([](const std::string& got) {
        return std::atof(got.c_str()) > 0 ? "" : "expected a number above 0, got " + got;
      })
      ->capture_default_str();
  app.add_option("--csv", options.csv, "also write the results of every candidate to this file");
}

/// From its extents: "32x64x3136".
Shape parsed_shape(const std::string& text) {
  Index extents[3];
  const char *at = text.data(), *const end = at + text.size();
  for (Index& extent : extents) {
    const auto [next, error] = std::from_chars(at, end, extent);
    const bool ends_well = &extent == std::end(extents) - 1 ? next == end : next != end && *next == 'x';
    if (error != std::errc() || extent < 1 || !ends_well) {
      throw CLI::ValidationError("--shapes",
                                 "expected kernels, odd, resnet50, mlp, all, or samples x channels x plane, which are "
                                 "whole numbers from 1 on, as in 32x64x3136; got '" +
                                     text + "'");
    }
    at = next + 1;
  }
  return {text, extents[0], extents[1], extents[2]};
}

/// Throws CLI::ValidationError if x and y alone do not fit into this machine's memory.
void check_memory(const Shape& shape) {
  constexpr double giga = 1e9;
  const double here = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const double needed = 2.0 * sizeof(float) * static_cast<double>(shape.samples) * static_cast<double>(shape.channels) *
                        static_cast<double>(shape.plane);
  if (needed < here) return;
  std::ostringstream message;
  message << std::setprecision(3) << "expected x and y of less than the " << here / giga
          << " GB of memory that are here, got '" << shape.name << "', of which they take " << needed / giga << " GB";
  throw CLI::ValidationError("--shapes", message.str());
}

std::vector<Shape> shapes_named(const std::string& name) {
  if (name == "kernels") return distinct({dense_shapes, image_shapes});
  if (name == "odd") return odd_shapes;
  if (name == "resnet50") return resnet50_shapes;
  if (name == "mlp") return mlp_shapes;
  if (name == "all") return distinct({dense_shapes, image_shapes, odd_shapes, resnet50_shapes, mlp_shapes});
  const Shape shape = parsed_shape(name);
  check_memory(shape);
  return {shape};
}

/// Each shape once.
std::vector<Shape> chosen_shapes(const Options& options) {
  std::vector<Shape> chosen;
  if (options.random > 0) {
    RandomShapes random(options.seed);
    for (int k = 0; k < options.random; ++k) {
      chosen.push_back(random.image());
      chosen.push_back(random.matrix());
    }
    return chosen;
  }
  for (const std::string& name : options.shapes) chosen = distinct({chosen, shapes_named(name)});
  return chosen;
}

bool has_layout(const Shape& shape, Layout layout) { return shape.is_matrix() == (layout == Layout::matrices); }

/// Throws CLI::ValidationError if no shape has one of the layouts.
void check_layouts(const std::vector<Layout>& layouts, const std::vector<Shape>& shapes) {
  for (const Layout layout : layouts) {
    if (std::any_of(shapes.begin(), shapes.end(), [=](const Shape& s) { return has_layout(s, layout); })) return;
  }
  std::string got;
  for (const Layout layout : layouts) got += (got.empty() ? "" : ",") + name_of(layout);
  throw CLI::ValidationError("--layout", shapes.front().is_matrix()
                                             ? "expected matrices, which all shapes chosen are, got " + got
                                             : "expected planes or rows for shapes that all are images, got " + got);
}

/// Throws CLI::ValidationError if a number comes twice.
void check_threads(std::vector<int> threads) {
  std::sort(threads.begin(), threads.end());
  const auto twice = std::adjacent_find(threads.begin(), threads.end());
  if (twice == threads.end()) return;
  throw CLI::ValidationError("--threads", "expected different numbers, got " + std::to_string(*twice) + " twice");
}

std::vector<Library> chosen_libraries(const Options& options) {
  std::vector<Library> chosen = libraries();
  std::erase_if(chosen, [&](const Library& library) {
    const bool scales = library.key == "batchnorm" || library.key == "limit";
    return std::find(options.without.begin(), options.without.end(), library.key) != options.without.end() ||
           (options.threads.size() > 1 && !scales);
  });
  return chosen;
}

void print_heading(const std::vector<Library>& chosen, const Options& options) {
  for (const auto& [name, value] : describe_machine()) std::cout << name << ": " << value << "\n";
  std::cout << "threads:";
  for (const int threads : options.threads) std::cout << " " << threads;
  if (options.random > 0)
    std::cout << "\nshapes: " << options.random << " random images and matrices, seed " << options.seed;
  std::cout << "\nlibraries:";
  for (const Library& library : chosen) {
    if (!library.version.empty()) std::cout << " " << library.key << " " << library.version;
  }
  std::cout << std::endl;
}

Row measure(const Task& task, const std::vector<Library>& chosen, const Options& options, CsvFile& csv) {
  std::cerr << name_of(task.pass) << ", " << name_of(task.layout) << ", " << task.shape.name << std::endl;
  Problem problem(task);
  std::vector<Candidate> all;
  std::vector<Measured> measured;
  for (const int threads : options.threads) {
    measured.push_back({threads, {}, {}, readings(problem, threads)});
    for (const Library& library : chosen) {
      for (const Candidate& candidate : library.make(problem, threads)) {
        measured.back().candidates.push_back(candidate);
        all.push_back(candidate);
      }
    }
  }
  verify(problem, all);
  const std::vector<Times> times = time_in_rounds(all, options.schedule);
  auto next = times.begin();
  for (Measured& m : measured) {
    m.times.assign(next, next + std::ptrdiff_t(m.candidates.size()));
    next += std::ptrdiff_t(m.candidates.size());
    csv.add(task, m);
  }
  return measured.size() == 1 ? beside_others(task, measured.front()) : by_threads(task, measured);
}

void run(const Options& options) {
  const std::vector<Library> chosen = chosen_libraries(options);
  const std::vector<Shape> shapes = chosen_shapes(options);
  check_layouts(options.layouts, shapes);
  check_threads(options.threads);
  CsvFile csv(options.csv);
  print_heading(chosen, options);
  for (const Pass pass : options.passes) {
    for (const Layout layout : options.layouts) {
      for (const Activation activation : options.activations) {
        std::vector<Row> rows;
        for (const Shape& shape : shapes) {
          if (!has_layout(shape, layout)) continue;
          rows.push_back(measure({pass, layout, activation, shape}, chosen, options, csv));
        }
        if (rows.empty()) continue;
        std::cout << "\n### " << name_of(pass) << ", " << name_of(layout) << ", " << name_of(activation) << "\n\n";
        print(std::cout, rows);
        std::cout << std::flush;
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmarks::keep_freed_memory();
  CLI::App app("Times batch normalization against the machine's limit and against other implementations.", "compare");
  Options options;
  add_options(app, options);
  try {
    app.parse(argc, argv);
    const bool waits = std::any_of(options.threads.begin(), options.threads.end(), [](int n) { return n > 1; });
    if (waits) options.schedule.pause = 0.02;
    run(options);
    return 0;
  } catch (const CLI::Error& error) {
    return app.exit(error);
  } catch (const std::bad_alloc&) {
    std::cerr << "compare: not enough memory for what the last line names, and the copies that the libraries make"
              << std::endl;
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "compare: " << error.what() << std::endl;
    return 1;
  }
}
