/// \file
/// The inverse square root of a covariance and its gradient: from eigenvectors, and by Newton's iteration.
#pragma once

#include <batchnorm/whitening/options.hpp>

#include <Eigen/Eigenvalues>
#include <limits>
#include <variant>
#include <vector>

namespace batchnorm {
inline namespace BATCHNORM_ABI {
namespace detail {

// Templates, so that who includes this and whitens nothing compiles nothing of Eigen's solver and products.

/// Completes a symmetric matrix of which the lower triangle has been computed.
template <class Matrix>
void mirror_lower(Matrix&& matrix) {
  matrix.template triangularView<Eigen::StrictlyUpper>() = matrix.transpose();
}

/// Sigma^(-1/2) = U diag(1 / s) U^T, where Sigma - epsilon I = U diag(lambda) U^T and s = sqrt(lambda + epsilon).
template <class Matrix>
class EigenRoot {
 public:
  using Input = Eigen::Ref<const Matrix>;
  using Output = Eigen::Ref<Matrix>;

  void compute(const Input& covariance, double epsilon, Output root) {
    solver_.compute(covariance);
    // A covariance has no negative eigenvalues: those that rounding makes are zeros.
    s_ = (solver_.eigenvalues().array().max(0.0) + epsilon).sqrt();
    scaled_ = solver_.eigenvectors() * s_.rsqrt().matrix().asDiagonal();
    root.setZero();
    root.template selfadjointView<Eigen::Lower>().rankUpdate(scaled_);
    mirror_lower(root);
  }

  /// dSigma from the symmetric part of dW, W = Sigma^(-1/2). W Sigma W = I makes dSigma the solution of a Lyapunov
  /// equation, diagonal in the basis of eigenvectors:
  ///
  ///   dSigma = U (K o U^T dW U) U^T        K_ij = (1/s_i - 1/s_j) / (s_i^2 - s_j^2) = -1 / (s_i s_j (s_i + s_j))
  ///
  /// The second form of K divides by no difference, so equal eigenvalues are like any others.
  void gradient(const Matrix& dw, Matrix& dsigma) {
    const auto& u = solver_.eigenvectors();
    product_.noalias() = dw * u;
    dsigma.noalias() = u.transpose() * product_;
    for (Eigen::Index j = 0; j < s_.size(); ++j) dsigma.col(j).array() /= -s_[j] * s_ * (s_[j] + s_);
    product_.noalias() = u * dsigma;
    dsigma.noalias() = product_ * u.transpose();
  }

 private:
  Eigen::SelfAdjointEigenSolver<Matrix> solver_;
  Eigen::ArrayXd s_;
  Matrix scaled_, product_;
};

/// Sigma^(-1/2) by Newton and Schulz, on A = Sigma / t with the trace t, whose eigenvalues are in (0, 1]:
///
///   Y_0 = A   Z_0 = I   T_k = (3 I - Z_k Y_k) / 2   Y_k+1 = Y_k T_k   Z_k+1 = T_k Z_k        W = Z_n / sqrt(t)
///
/// Z_k is the P_k of IterNorm, P_k+1 = (3 P_k - P_k^3 A) / 2, which loses its digits as it converges; coupled with Y_k
/// = A Z_k it keeps them. All matrices are symmetric: half of each product is computed.
///
/// Source   Huang et al. 2019, arXiv:1904.03441, Algorithm 1; Higham 2008, "Functions of Matrices", equation 6.35.
template <class Matrix>
class NewtonRoot {
 public:
  using Input = Eigen::Ref<const Matrix>;
  using Output = Eigen::Ref<Matrix>;

  explicit NewtonRoot(int iterations) : steps_(static_cast<std::size_t>(iterations)) {}

  void compute(const Input& covariance, double epsilon, Output root) {
    trace_ = covariance.trace() + epsilon * static_cast<double>(covariance.rows());
    Step* step = &steps_.front();
    step->y = covariance / trace_;
    step->y.diagonal().array() += epsilon / trace_;
    step->t = -0.5 * step->y;
    step->t.diagonal().array() += 1.5;
    z_ = step->t;  // Z_1 = T_0, for Z_0 = I
    for (std::size_t k = 1; k < steps_.size(); ++k) {
      Step& next = steps_[k];
      symmetric_sum(next.y, {{1, step->y, step->t}});
      next.z = z_;
      symmetric_sum(next.t, {{-0.5, next.z, next.y}});
      next.t.diagonal().array() += 1.5;
      symmetric_sum(z_, {{1, next.t, next.z}});
      step = &next;
    }
    root = z_ / std::sqrt(trace_);
  }

  /// dSigma from the symmetric part of dW. Z_n is a polynomial of A, and the derivative of a polynomial at a symmetric
  /// matrix is a self-adjoint map. So what is propagated backwards is propagated forwards as well: the derivatives of
  /// Y_k and Z_k in the direction dW, and the last Z' is dA, but for the factors of t.
  ///
  ///   Y'_0 = dW   Z'_0 = 0   T'_k = -(Z'_k Y_k + Z_k Y'_k) / 2   Y'_k+1 = Y'_k T_k + Y_k T'_k   Z'_k+1 likewise
  ///   dSigma = t^(-3/2) (Z'_n - I (<dW, Z_n> / 2 + <Z'_n, A>))
  void gradient(const Matrix& dw, Matrix& dsigma) {
    const Step* step = &steps_.front();
    dy_ = dw;
    dt_ = dsigma = -0.5 * dw;
    for (std::size_t k = 1; k < steps_.size(); ++k) {
      const Step& next = steps_[k];
      symmetric_sum(following_, {{1, dy_, step->t}, {1, step->y, dt_}});
      dy_.swap(following_);
      symmetric_sum(dt_, {{-0.5, dsigma, next.y}, {-0.5, next.z, dy_}});
      symmetric_sum(following_, {{1, dt_, next.z}, {1, next.t, dsigma}});
      dsigma.swap(following_);
      step = &next;
    }
    dsigma.diagonal().array() -= dw.cwiseProduct(z_).sum() / 2 + dsigma.cwiseProduct(steps_.front().y).sum();
    dsigma /= trace_ * std::sqrt(trace_);
  }

 private:
  struct Step {
    Matrix y, z, t;
  };
  struct Term {
    double factor;
    const Matrix &a, &b;
  };

  /// sum = sum of factor * a * b, which is known to be symmetric though its terms need not be.
  static void symmetric_sum(Matrix& sum, std::initializer_list<Term> terms) {
    const Eigen::Index n = terms.begin()->a.rows();
    sum.setZero(n, n);
    for (const Term& term : terms) sum.template triangularView<Eigen::Lower>() += (term.factor * term.a) * term.b;
    mirror_lower(sum);
  }

  std::vector<Step> steps_;
  double trace_ = 0;
  Matrix z_, dy_, dt_, following_;
};

/// Sigma^(-1/2) by the method that the options name; NaN throughout where the covariance is not finite.
template <class Matrix>
class InverseSquareRoot {
 public:
  using Input = Eigen::Ref<const Matrix>;
  using Output = Eigen::Ref<Matrix>;

  explicit InverseSquareRoot(const WhiteningOptions& options)
      : epsilon_(options.epsilon),
        root_(options.method == WhiteningMethod::eigen ? Root(EigenRoot<Matrix>())
                                                       : Root(NewtonRoot<Matrix>(options.iterations))) {}

  /// w = (covariance + epsilon I)^(-1/2).
  void compute(const Input& covariance, Output w) {
    is_finite_ = all_finite(covariance.eval());
    if (is_finite_) {
      std::visit([&](auto& root) { root.compute(covariance, epsilon_, w); }, root_);
    } else {
      w.setConstant(std::numeric_limits<double>::quiet_NaN());
    }
  }

  /// dsigma from dw, symmetric both, for the covariance of the last compute().
  void gradient(const Matrix& dw, Matrix& dsigma) {
    if (is_finite_) {
      std::visit([&](auto& root) { root.gradient(dw, dsigma); }, root_);
    } else {
      dsigma.setConstant(dw.rows(), dw.cols(), std::numeric_limits<double>::quiet_NaN());
    }
  }

 private:
  using Root = std::variant<EigenRoot<Matrix>, NewtonRoot<Matrix>>;

  double epsilon_;
  bool is_finite_ = false;
  Root root_;
};

}  // namespace detail
}  // namespace BATCHNORM_ABI
}  // namespace batchnorm
