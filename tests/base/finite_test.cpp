#include <gtest/gtest.h>

#include <batchnorm/base/finite.hpp>
#include <limits>

namespace finite_test {

namespace bn = batchnorm;

template <class T>
constexpr T largest = std::numeric_limits<T>::max();
template <class T>
constexpr T smallest = std::numeric_limits<T>::denorm_min();
template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

template <class T>
constexpr bool tells_finite() {
  for (const T value : {T(0), T(-0.0), T(1), T(-1), largest<T>, -largest<T>, smallest<T>, -smallest<T>}) {
    if (!bn::detail::is_finite(value)) return false;
  }
  for (const T value : {infinity<T>, -infinity<T>, not_a_number<T>, -not_a_number<T>}) {
    if (bn::detail::is_finite(value)) return false;
  }
  return true;
}

static_assert(tells_finite<float>() && tells_finite<double>());

TEST(Finite, OneValueThatIsNotIsFoundAtEveryPlaceOfEverySize) {
  for (Eigen::Index size = 0; size <= 37; ++size) {
    Eigen::ArrayXd values = Eigen::ArrayXd::LinSpaced(size, -1e300, 1e300);
    EXPECT_TRUE(bn::detail::all_finite(values));
    for (Eigen::Index i = 0; i < size; ++i) {
      for (const double bad : {infinity<double>, -infinity<double>, not_a_number<double>, -not_a_number<double>}) {
        Eigen::ArrayXd changed = values;
        changed[i] = bad;
        EXPECT_FALSE(bn::detail::all_finite(changed)) << size << " " << i << " " << bad;
      }
    }
  }
}

TEST(Finite, MeansAreFiniteAndVariancesAreAlsoNotNegative) {
  const auto good = [](const Eigen::ArrayXd& means, const Eigen::ArrayXd& variances) {
    return bn::detail::all_finite_without_sign(means, variances);
  };
  for (Eigen::Index size = 0; size <= 37; ++size) {
    const Eigen::ArrayXd means = Eigen::ArrayXd::LinSpaced(size, -1e300, 1e300),
                         variances = Eigen::ArrayXd::LinSpaced(size, 0, largest<double>);
    EXPECT_TRUE(good(means, variances));
    for (Eigen::Index i = 0; i < size; ++i) {
      for (const double bad : {infinity<double>, -infinity<double>, not_a_number<double>}) {
        Eigen::ArrayXd changed = means;
        changed[i] = bad;
        EXPECT_FALSE(good(changed, variances)) << size << " " << i << " " << bad;
      }
      for (const double bad : {-smallest<double>, -1.0, infinity<double>, -infinity<double>, not_a_number<double>}) {
        Eigen::ArrayXd changed = variances;
        changed[i] = bad;
        EXPECT_FALSE(good(means, changed)) << size << " " << i << " " << bad;
        EXPECT_FALSE(bn::detail::is_variance(bad));
      }
    }
  }
  EXPECT_TRUE(bn::detail::is_variance(0.0) && bn::detail::is_variance(-0.0) &&
              bn::detail::is_variance(largest<double>));
}

}  // namespace finite_test
