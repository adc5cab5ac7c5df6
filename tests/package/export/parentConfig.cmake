include(CMakeFindDependencyMacro)
find_dependency(batchnorm 0.2)
include(${CMAKE_CURRENT_LIST_DIR}/parentTargets.cmake)
