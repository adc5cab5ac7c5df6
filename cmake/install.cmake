# What `cmake --install` copies: the headers and a package that find_package(batchnorm) finds.
# The package names Eigen3::Eigen and asks for an installed Eigen, whatever Eigen this tree was configured with.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(BATCHNORM_CMAKE_DIR ${CMAKE_INSTALL_DATADIR}/cmake/batchnorm)

# The include directory once more, since CMake before 3.23 knows no file sets.
install(TARGETS batchnorm EXPORT batchnormTargets FILE_SET HEADERS INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT batchnormTargets NAMESPACE batchnorm:: DESTINATION ${BATCHNORM_CMAKE_DIR})

configure_package_config_file(cmake/batchnormConfig.cmake.in batchnormConfig.cmake
  INSTALL_DESTINATION ${BATCHNORM_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/batchnormConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/batchnormConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/batchnormConfigVersion.cmake
  DESTINATION ${BATCHNORM_CMAKE_DIR})
