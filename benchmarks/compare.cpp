// Batch normalization beside the machine's limit, beside loops and expressions written by hand, and, where they are
// installed, beside oneDNN and LibTorch. All candidates of a shape take turns in one process; tables show medians of
// ratios within one round. README.md says how to read them.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

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
void add_choice(CLI::App& app, const char* name, std::vector<Value>& values, std::vector<Value> all, const char* text) {
  std::vector<std::pair<std::string, Value>> names;
  for (const Value value : all) names.emplace_back(name_of(value), value);
  app.add_option(name, values, text)->delimiter(',')->transform(CLI::CheckedTransformer(names));
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
  app.add_option("--seed", options.seed, "which ones")->needs(random)->capture_default_str();
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
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--csv", options.csv, "also write the results of every candidate to this file");
}

std::vector<Shape> shapes_named(const std::string& name) {
  const auto joined = [](std::vector<Shape> a, const std::vector<Shape>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  if (name == "kernels") return joined(dense_shapes, image_shapes);
  if (name == "odd") return odd_shapes;
  if (name == "resnet50") return resnet50_shapes;
  if (name == "mlp") return mlp_shapes;
  if (name == "all") {
    return joined(joined(joined(dense_shapes, image_shapes), odd_shapes), joined(resnet50_shapes, mlp_shapes));
  }

  Shape shape{name, 0, 0, 0};
  int length = 0;
  const int numbers =
      std::sscanf(name.c_str(), "%tdx%tdx%td%n", &shape.samples, &shape.channels, &shape.plane, &length);
  if (numbers == 3 && std::size_t(length) == name.size() && shape.samples > 0 && shape.channels > 0 &&
      shape.plane > 0) {
    return {shape};
  }
  throw CLI::ValidationError("--shapes", "expected kernels, odd, resnet50, mlp, all or 32x64x3136, got '" + name + "'");
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
  for (const std::string& name : options.shapes) {
    for (const Shape& shape : shapes_named(name)) {
      const auto same = [&](const Shape& other) { return other.same_extents(shape); };
      if (std::none_of(chosen.begin(), chosen.end(), same)) chosen.push_back(shape);
    }
  }
  return chosen;
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
  CsvFile csv(options.csv);
  print_heading(chosen, options);
  for (const Pass pass : options.passes) {
    for (const Layout layout : options.layouts) {
      for (const Activation activation : options.activations) {
        std::vector<Row> rows;
        for (const Shape& shape : shapes) {
          if (shape.is_matrix() != (layout == Layout::matrices)) continue;
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
  } catch (const std::exception& error) {
    std::cerr << "compare: " << error.what() << std::endl;
    return 1;
  }
}
