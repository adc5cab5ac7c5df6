#include <Eigen/Core>

int main() {}
