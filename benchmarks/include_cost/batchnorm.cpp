#include <batchnorm/batchnorm.hpp>

int main() {}
