# A guest builds nothing of its own, installs nothing and has no header checks.
get_target_property(verify batchnorm VERIFY_INTERFACE_HEADER_SETS)
foreach(setting IN ITEMS BATCHNORM_BUILD_TESTS BATCHNORM_BUILD_EXAMPLES BATCHNORM_BUILD_BENCHMARKS BATCHNORM_INSTALL verify)
  if(${setting})
    message(FATAL_ERROR "${setting} is on in a project that only uses batchnorm")
  endif()
endforeach()
