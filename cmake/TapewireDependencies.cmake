# All from the distribution's packages (Debian 12).
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(prometheus-cpp REQUIRED)
find_package(spdlog REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(ZLIB REQUIRED)
if(TAPEWIRE_TESTS)
  find_package(GTest REQUIRED)
endif()
if(TAPEWIRE_BENCH)
  find_package(benchmark REQUIRED)
endif()

# oneDNN is found where it is used, in core/kernels: its package's CMake configuration wants OpenCL's headers.
# libmicrohttpd's package has none.
find_library(MICROHTTPD_LIBRARY microhttpd REQUIRED)
add_library(microhttpd INTERFACE)
target_link_libraries(microhttpd INTERFACE "${MICROHTTPD_LIBRARY}")
