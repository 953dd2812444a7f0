# The house's build rules: one static library a room, one test binary a room, the same warnings everywhere.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # ccache takes part with precompiled headers only when told that what they leave out does not matter here.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${CCACHE}")
endif()

# Half of a test's compilation is reading gMock, and half of a service's reading gRPC and the contract. clang-tidy, which
# reads without, keeps the includes complete; the sanitizers' flags differ from target to target.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT TAPEWIRE_SANITIZE)
  option(TAPEWIRE_PCH "Precompile the headers that most of a room begins with" ON)
endif()

# What our own code is compiled with. Third-party headers are SYSTEM, so warnings there are silent.
add_library(tapewire_warnings INTERFACE)
target_include_directories(tapewire_warnings INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(tapewire_warnings INTERFACE
  -march=${TAPEWIRE_CPU} -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers -Werror)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # Masks of vectors read well without parentheses (a | b ? x : y); libstdc++ 12 itself uses what it deprecates.
  target_compile_options(tapewire_warnings INTERFACE
    -Wthread-safety -Wno-bitwise-conditional-parentheses -Wno-deprecated-declarations)
endif()
add_library(tapewire_flags INTERFACE)
target_link_libraries(tapewire_flags INTERFACE tapewire_warnings)
if(TAPEWIRE_SANITIZE)
  # -O1 and line tables keep sanitized builds quick to build and their reports readable.
  target_compile_options(tapewire_flags INTERFACE
    -fsanitize=${TAPEWIRE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${TAPEWIRE_SANITIZE})
endif()

# tapewire_precompile(<target> <header>...): what most of its files begin with, read once.
function(tapewire_precompile target)
  if(TAPEWIRE_PCH)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# tapewire_room(<target> [REGISTERS] [UNINSTRUMENTED] [DEPS <target>...] [PRIVATE_DEPS <target>...])
# A room: a static library of the .cc files in the current folder. It may use only the rooms in DEPS. A room that
# REGISTERS (ops, modules, optimizers) is linked whole, so that no registration is dropped by the linker. A room that
# speaks gRPC is UNINSTRUMENTED: under ThreadSanitizer, which cannot see into the packaged gRPC, it is a shared library
# without instrumentation; the rooms that it uses stay instrumented, in the executable.
function(tapewire_room target)
  cmake_parse_arguments(ROOM "REGISTERS;UNINSTRUMENTED" "" "DEPS;PRIVATE_DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*.cc")
  set_property(GLOBAL PROPERTY tapewire_registers_${target} ${ROOM_REGISTERS})
  if(ROOM_UNINSTRUMENTED AND TAPEWIRE_SANITIZE MATCHES "thread")
    add_library(${target} SHARED ${sources})
    target_link_libraries(${target} PRIVATE tapewire_warnings)
    target_compile_options(${target} PRIVATE -include "${CMAKE_SOURCE_DIR}/cmake/uninstrumented.h")
    target_link_options(${target} PRIVATE -Wl,-Bsymbolic-functions)
    foreach(dep IN LISTS ROOM_DEPS ROOM_PRIVATE_DEPS)
      get_target_property(type ${dep} TYPE)
      if(type STREQUAL "STATIC_LIBRARY")
        # Compiled against here, linked into the executable: there must be one copy.
        target_include_directories(${target} PRIVATE $<TARGET_PROPERTY:${dep},INTERFACE_INCLUDE_DIRECTORIES>)
        target_compile_definitions(${target} PRIVATE $<TARGET_PROPERTY:${dep},INTERFACE_COMPILE_DEFINITIONS>)
        add_dependencies(${target} ${dep})
        tapewire_link(${target} INTERFACE ${dep})
      else()
        target_link_libraries(${target} PUBLIC ${dep})
      endif()
    endforeach()
    return()
  endif()
  add_library(${target} STATIC ${sources})
  target_link_libraries(${target} PUBLIC tapewire_flags)
  tapewire_link(${target} PUBLIC ${ROOM_DEPS})
  tapewire_link(${target} PRIVATE ${ROOM_PRIVATE_DEPS})
endfunction()

# tapewire_link(<target> <scope> <library>...): target_link_libraries that links registering rooms whole.
function(tapewire_link target scope)
  foreach(dep IN LISTS ARGN)
    get_property(registers GLOBAL PROPERTY tapewire_registers_${dep})
    if(registers)
      target_link_libraries(${target} ${scope} "$<LINK_LIBRARY:WHOLE_ARCHIVE,${dep}>")
    else()
      target_link_libraries(${target} ${scope} ${dep})
    endif()
  endforeach()
endfunction()

# tapewire_time_limit(<test>...): a test that hangs fails. What takes its time is a multiple faster than that.
function(tapewire_time_limit)
  set(seconds 300)
  if(TAPEWIRE_SANITIZE)
    set(seconds 1800)
  elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
    set(seconds 900)
  endif()
  set_tests_properties(${ARGN} PROPERTIES TIMEOUT ${seconds})
endfunction()

# tapewire_test(<name> DEPS <target>... [PRECOMPILE <header>...]): one test binary of the *_test.cc files in the current
# folder. PRECOMPILE is for large headers that most of them begin with.
function(tapewire_test name)
  cmake_parse_arguments(TEST "" "" "DEPS;PRECOMPILE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc")
  add_executable(${name} ${sources})
  target_link_libraries(${name} PRIVATE tapewire_flags GTest::gmock GTest::gtest_main)
  # Optimising tests takes longer than running them unoptimised: what they call is optimised.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O0>)
  if(TAPEWIRE_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Wrong about gMock's matchers and std::regex once the sanitizers' checks are in between.
    target_compile_options(${name} PRIVATE -Wno-maybe-uninitialized)
  endif()
  tapewire_link(${name} PRIVATE ${TEST_DEPS})
  if(TAPEWIRE_PCH)
    # gRPC's users are compiled with -pthread, which defines a macro: all are, to share the header.
    target_compile_options(${name} PRIVATE -pthread)
    set(common <gmock/gmock.h> <gtest/gtest.h> "${CMAKE_SOURCE_DIR}/core/tensor/value.h")
    get_property(owner GLOBAL PROPERTY tapewire_test_pch)
    if(TEST_PRECOMPILE)
      list(TRANSFORM TEST_PRECOMPILE PREPEND "${CMAKE_SOURCE_DIR}/")
      target_precompile_headers(${name} PRIVATE ${common} ${TEST_PRECOMPILE})
    elseif(owner)
      target_precompile_headers(${name} REUSE_FROM ${owner})
    else()
      target_precompile_headers(${name} PRIVATE ${common})
      set_property(GLOBAL PROPERTY tapewire_test_pch ${name})
    endif()
  endif()
  add_test(NAME ${name} COMMAND ${name} --gtest_brief=1 WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  tapewire_time_limit(${name})
endfunction()
