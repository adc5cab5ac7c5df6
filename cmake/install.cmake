# What `cmake --install` copies: the headers, a package that find_package(batchnorm) finds, and one for pkg-config.
# Both ask for an installed Eigen, whatever Eigen this tree was configured with.
#
# Without BATCHNORM_INSTALL, as in a parent project by default, the rules are there but not carried out: a program does
# not install the headers that it was made with, and yet its install(EXPORT) may name what links batchnorm::batchnorm.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(BATCHNORM_CMAKE_DIR ${CMAKE_INSTALL_DATADIR}/cmake/batchnorm)
set(component COMPONENT batchnorm)
if(NOT BATCHNORM_INSTALL)
  list(APPEND component EXCLUDE_FROM_ALL)
endif()

# Relative also where an absolute folder was given, which the export of a file set would put behind the prefix.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_FULL_INCLUDEDIR BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX}
  OUTPUT_VARIABLE BATCHNORM_INCLUDE_FROM_PREFIX)

# The include directory once more, since CMake before 3.23 knows no file sets.
install(TARGETS batchnorm EXPORT batchnormTargets
  FILE_SET HEADERS DESTINATION ${BATCHNORM_INCLUDE_FROM_PREFIX} ${component}
  FILE_SET adapters DESTINATION ${BATCHNORM_INCLUDE_FROM_PREFIX} ${component}
  INCLUDES DESTINATION ${BATCHNORM_INCLUDE_FROM_PREFIX})
install(EXPORT batchnormTargets NAMESPACE batchnorm:: DESTINATION ${BATCHNORM_CMAKE_DIR} ${component})

configure_package_config_file(cmake/batchnormConfig.cmake.in batchnormConfig.cmake
  INSTALL_DESTINATION ${BATCHNORM_CMAKE_DIR})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/batchnormConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/batchnormConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/batchnormConfigVersion.cmake
  DESTINATION ${BATCHNORM_CMAKE_DIR} ${component})

# All folders relative to the file itself, so that an installation may be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY ${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig
  OUTPUT_VARIABLE BATCHNORM_PREFIX_FROM_PKGCONFIG)
configure_file(cmake/batchnorm.pc.in batchnorm.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/batchnorm.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig ${component})
