#include "experiments/training/experiment.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "examples/data/idx_files.hpp"
#include "experiments/networks/sigmoid_network.hpp"

namespace experiment_test {

TEST(Experiment, TrainsAllJobsAndShowsWhoeverLooksTheTrainedNetwork) {
  const testing_support::Folder folder;
  testing_support::write_mnist(folder, 60, 20);
  training::Protocol protocol;
  protocol.steps = 3;
  protocol.batch = 20;
  protocol.every = 3;
  protocol.population_batches = 0;
  std::vector<training::Job> jobs;
  std::vector<double> seen(21);  // more than there are lines of progress for
  testing::internal::CaptureStdout();
  const training::Experiment experiment({.data = folder.path(), .output = folder.path() / "results"}, protocol,
                                        "headline");
  for (std::size_t i = 0; i < seen.size(); ++i) {
    training::Protocol own = protocol;
    own.learning_rate = {i == 0 ? 1e-9 : 1.0};
    jobs.push_back({"job", own, i % 2, [i] { return networks::make_sigmoid_network({.seed = i % 2}); },
                    [&, i](networks::Network& network) {
                      seen[i] = training::accuracy(training::class_probabilities(network.model, experiment.test()),
                                                   experiment.test());
                    }});
  }
  const std::vector<training::Run> runs = experiment.train(jobs);
  EXPECT_EQ(experiment.finish({}, {"table"}, {"table", "it grows"}), 0);
  const std::string output = testing::internal::GetCapturedStdout();
  EXPECT_EQ(output.find("headline\nData: MNIST, 60 + 20 images\n"), 0U) << output;
  EXPECT_NE(output.find("table.csv"), std::string::npos) << output;
  EXPECT_TRUE(output.ends_with("\n\nLook at table: it grows.\n")) << output;

  ASSERT_EQ(runs.size(), seen.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].seed, i % 2);
    EXPECT_EQ(runs[i].steps_made, 3);
    EXPECT_EQ(runs[i].running_accuracy, seen[i]);
    EXPECT_EQ(seen[i], seen[i < 3 ? i : i - 2]) << "the same job gives the same network";
  }
}

TEST(Experiment, ShowsANetworkOnTheWayAndIsNotDisturbed) {
  const testing_support::Folder folder;
  testing_support::write_mnist(folder, 60, 20);
  const training::Protocol protocol = {.steps = 3, .batch = 20, .every = 3, .population_batches = 0};
  testing::internal::CaptureStdout();
  const training::Experiment experiment({.data = folder.path(), .output = folder.path() / "results"}, protocol, "");
  std::vector<std::int64_t> steps;
  std::vector<float> weights;  // one of the last layer's, of the watched network and then of the other at its end
  const auto first_weight = [&](networks::Network& network) {
    float value = 0;
    network.model.for_each_parameter([&](batchnorm::Parameter<float> parameter) {
      if (parameter.name == "weight") value = parameter.value[0];
    });
    weights.push_back(value);
  };
  const auto watch = [&](std::int64_t step, networks::Network& network) {
    steps.push_back(step);
    first_weight(network);
    const nn::ModeScope probe(network.model, batchnorm::Mode::probe);
    nn::Activations<float> activations;
    network.model.forward(experiment.test().images.front(), activations);
  };
  const auto make = [] { return networks::make_sigmoid_network({.seed = 3}); };
  experiment.train({{"watched", protocol, 3, make, {}, watch}});
  experiment.train({{"alone", protocol, 3, make, first_weight}});
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 2, 3}));
  ASSERT_EQ(weights.size(), 5u);
  EXPECT_NE(weights[0], weights[1]) << "before the first step, and after it";
  EXPECT_EQ(weights[3], weights[4]);
}

TEST(Experiment, SaysWhichNetworksDivergedAndTrainsTheOthers) {
  const testing_support::Folder folder;
  testing_support::write_mnist(folder, 60, 20);
  const training::Protocol protocol = {.steps = 6, .batch = 20, .every = 2, .population_batches = 3};
  testing::internal::CaptureStdout();
  const training::Experiment experiment({.data = folder.path(), .output = folder.path() / "results"}, protocol, "");
  std::vector<training::Job> jobs;
  std::vector<int> looked(30, 0);
  for (std::size_t i = 0; i < looked.size(); ++i) {
    training::Protocol own = protocol;
    if (i != 4) own.learning_rate = {1e38};
    jobs.push_back({"job " + std::to_string(i), own, i, [i] { return networks::make_sigmoid_network({.seed = i}); },
                    [&, i](networks::Network&) { looked[i] = 1; }});
  }
  const std::vector<training::Run> runs = experiment.train(jobs);
  EXPECT_EQ(experiment.finish({{"nothing", "", "", ""}}, {"table"}, {"nothing", ""}), 0) << "to diverge is a result";
  const std::string output = testing::internal::GetCapturedStdout();

  for (std::size_t i = 0; i < runs.size(); ++i) {
    EXPECT_EQ(runs[i].divergence.has_value(), i != 4) << i;
    EXPECT_EQ(looked[i], i == 4) << i;
    EXPECT_EQ(runs[i].seed, i);
  }
  EXPECT_EQ(runs[4].steps, (std::vector<std::int64_t>{2, 4, 6}));
  EXPECT_NE(output.find("\njob 0 diverged at step " + std::to_string(runs[0].divergence->step) + ": " +
                        runs[0].divergence->reason + "\n"),
            std::string::npos)
      << output;
  EXPECT_EQ(output.find("job 4 "), std::string::npos) << output;
  EXPECT_NE(output.find("\njob 20 diverged"), std::string::npos) << output;
  EXPECT_NE(output.find("\nand 9 more\n"), std::string::npos) << output;
  EXPECT_TRUE(output.ends_with(":\nnothing.csv, table.csv\n")) << "nothing to look at: " << output;
}

// --- After Ctrl-C

training::Run run_of(std::uint64_t seed, std::int64_t steps_made) {
  training::Run run;
  run.seed = seed;
  run.steps_asked = 10;
  run.steps_made = steps_made;
  return run;
}

/// The seeds that are reported of two networks, given the steps that each made, and what is said of them.
std::vector<std::size_t> reported(const std::vector<std::int64_t>& steps_made, std::string& said) {
  std::vector<training::Run> runs;
  for (std::size_t i = 0; i < steps_made.size(); ++i) {
    runs.push_back(run_of(i / 2, steps_made[i]));
    if (steps_made[i] < 0) runs.back().divergence = {1, "loss nan"};
  }
  testing::internal::CaptureStdout();
  const auto seeds = training::seeds_to_report(runs, 2);
  said = testing::internal::GetCapturedStdout();
  return seeds;
}

TEST(SeedsToReport, AreThoseThatAllNetworksHaveComeToTheEndOf) {
  std::string said;
  EXPECT_EQ(reported({10, 10, 10, 10}, said), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(said, "");
  EXPECT_EQ(reported({10, 3, 10, 10, 0, 0}, said), (std::vector<std::size_t>{1}));
  EXPECT_EQ(said, "\nStopped early: of 3 seeds 1 is complete, and what follows is of those.\n");
  EXPECT_EQ(reported({10, -1, 10, 10, 10, 9}, said), (std::vector<std::size_t>{0, 1})) << "to diverge is an end";
  EXPECT_EQ(said, "\nStopped early: of 3 seeds 2 are complete, and what follows is of those.\n");
}

TEST(SeedsToReport, AreThoseThatWereBegunIfNoneIsComplete) {
  std::string said;
  EXPECT_EQ(reported({10, 3, 0, 0}, said), (std::vector<std::size_t>{0}));
  EXPECT_EQ(said, "\nStopped early: of 2 seeds none is complete, and what follows is what there is.\n");
  EXPECT_EQ(reported({0, 0, 0, 0}, said), (std::vector<std::size_t>{0, 1})) << "nothing, but of all";
}

}  // namespace experiment_test
