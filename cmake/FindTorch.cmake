# LibTorch for the benchmarks: Torch::cpu, if headers and libraries are there (-DTorch_ROOT=<folder> says where else to
# look). Its own package cannot be asked: it looks for CUDA, protobuf, gflags and glog, sets compiler flags, and ends the
# configuration where one of them is missing.
include(FindPackageHandleStandardArgs)
find_path(Torch_INCLUDE_DIR ATen/ATen.h)
find_library(Torch_CPU_LIBRARY torch_cpu)
find_library(Torch_C10_LIBRARY c10)
mark_as_advanced(Torch_INCLUDE_DIR Torch_CPU_LIBRARY Torch_C10_LIBRARY)
find_package_handle_standard_args(Torch REQUIRED_VARS Torch_CPU_LIBRARY Torch_C10_LIBRARY Torch_INCLUDE_DIR)

if(Torch_FOUND AND NOT TARGET Torch::cpu)
  add_library(Torch::c10 UNKNOWN IMPORTED)
  set_target_properties(Torch::c10 PROPERTIES IMPORTED_LOCATION ${Torch_C10_LIBRARY})
  add_library(Torch::cpu UNKNOWN IMPORTED)
  set_target_properties(Torch::cpu PROPERTIES
    IMPORTED_LOCATION ${Torch_CPU_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${Torch_INCLUDE_DIR}
    INTERFACE_LINK_LIBRARIES Torch::c10)
endif()
