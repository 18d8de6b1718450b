# Every module is one static library, src/<module>/, and what it links is what it may import; tests/lint/imports.py holds
# the #include lines to the same graph.

add_library(muster_flags INTERFACE)
target_compile_options(muster_flags INTERFACE
  -Wall -Wextra -Wpedantic -Werror -Wshadow -Wconversion -Wno-sign-conversion -Wimplicit-fallthrough
  -Wnon-virtual-dtor -Woverloaded-virtual -Wthread-safety -Wno-gnu-statement-expression-from-macro-expansion
  -fno-omit-frame-pointer)
target_include_directories(muster_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
if(MUSTER_SANITIZE)
  target_compile_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE} -fno-sanitize-recover=all)
  if(MUSTER_SANITIZE MATCHES address)
    # Instrumented code is long: where only what is short is inlined (25 instead of 225), compiling takes two thirds of the time.
    # ThreadSanitizer would lose in the tests what it gains: it looks at each function's entry and exit.
    target_compile_options(muster_flags INTERFACE "SHELL:-mllvm -inline-threshold=25")
  endif()
  target_link_options(muster_flags INTERFACE -fsanitize=${MUSTER_SANITIZE})
endif()
# What fuzzers reach tells them where they have been.
add_library(muster_fuzzed INTERFACE)
target_compile_options(muster_fuzzed INTERFACE $<$<BOOL:${MUSTER_FUZZ}>:-fsanitize=fuzzer-no-link>)

# muster_module(NAME [SOURCES ...] [IMPORTS module...] [LIBRARIES library...] [TESTS file...] [FUZZERS file...]
#               [BENCHMARKS file...] [TEST_LIBRARIES library...])
# Presets but dev compile many sources at a time, as one: 36 of a module, a dozen of its tests. A test that has a private name
# in common with another is in a namespace of its own.
# Tests of a module are one executable, <module>_test; each x_fuzz.cc and x_bench.cc is one of its own.
function(muster_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;IMPORTS;LIBRARIES;PRIVATE_LIBRARIES;TESTS;TEST_LIBRARIES;FUZZERS;BENCHMARKS" ${ARGN})
  set(target muster_${name})
  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    set(scope PUBLIC)
    set_target_properties(${target} PROPERTIES UNITY_BUILD_BATCH_SIZE 36)
    target_link_libraries(${target} PRIVATE ${arg_PRIVATE_LIBRARIES})
    if(arg_FUZZERS OR name STREQUAL base)
      target_link_libraries(${target} PRIVATE muster_fuzzed)
    endif()
  else()
    add_library(${target} INTERFACE)
    set(scope INTERFACE)
  endif()
  list(TRANSFORM arg_IMPORTS PREPEND muster_)
  target_link_libraries(${target} ${scope} muster_flags ${arg_IMPORTS} ${arg_LIBRARIES})
  if(arg_TESTS AND NOT (name STREQUAL domain AND MUSTER_SANITIZE STREQUAL "thread"))  # the domain has no threads
    muster_test(${name}_test SOURCES ${arg_TESTS} LIBRARIES ${target} ${arg_TEST_LIBRARIES})
  endif()
  if(MUSTER_FUZZ)
    foreach(source ${arg_FUZZERS})
      get_filename_component(fuzzer ${source} NAME_WE)
      muster_fuzzer(${fuzzer} ${source} ${target})
    endforeach()
  endif()
  if(MUSTER_BENCH)
    foreach(source ${arg_BENCHMARKS})
      get_filename_component(benchmark ${source} NAME_WE)
      add_executable(${benchmark} ${source})
      target_link_libraries(${benchmark} PRIVATE ${target} ${arg_TEST_LIBRARIES} benchmark::benchmark_main)
    endforeach()
  endif()
endfunction()

# One GoogleTest executable, registered as one ctest test (its own output lists the cases). What is tested is optimised as its
# preset says, but for inline functions that both use; the test's own sources are not, and share a precompiled header: they
# then compile in half the time or less.
function(muster_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LIBRARIES" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_compile_options(${name} PRIVATE -O0 -Xclang -fno-pch-timestamp)
  target_precompile_headers(${name} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <memory> <optional> <string> <vector>)
  target_link_libraries(${name} PRIVATE muster_flags ${arg_LIBRARIES} GTest::gmock_main rapidcheck_gtest)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  if(MUSTER_SANITIZE)
    # A sanitizer makes each case of a property many times slower; what it looks for shows in fewer.
    set_tests_properties(${name} PROPERTIES ENVIRONMENT RC_PARAMS=max_success=20)
  endif()
endfunction()

# One libFuzzer target. Its seed corpus is tests/corpus/<name>/; ctest runs it for MUSTER_FUZZ_SECONDS.
add_custom_target(muster_fuzzers)
set(MUSTER_FUZZ_SECONDS 10 CACHE STRING "How long ctest runs each fuzzer")
function(muster_fuzzer name source library)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE muster_flags muster_fuzzed ${library})
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(muster_fuzzers ${name})
  set(corpus ${CMAKE_CURRENT_BINARY_DIR}/corpus/${name})
  file(MAKE_DIRECTORY ${corpus})
  add_test(NAME ${name} COMMAND ${name} -max_total_time=${MUSTER_FUZZ_SECONDS} -timeout=10 -rss_limit_mb=2048
    -print_final_stats=0 -verbosity=0 ${corpus} ${PROJECT_SOURCE_DIR}/tests/corpus/${name})
  set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 3600)
endfunction()
