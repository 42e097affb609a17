#pragma once

#include <optional>

#include "analyze/cause.h"
#include "analyze/runtime_scene.h"

namespace obit {

/// What the runtime or library said that gave up: the innermost frame that one of the recognisers knows
/// decides. Nothing if there is none. Words are told only if they belong to this death; a cause without them
/// still says who gave up.
[[nodiscard]] std::optional<Cause> FindRuntimeWords(CrashScene& scene);

/// Each looks at one frame of a scene. Nothing: the frame is none that it knows, or does not mean a death.
using Recogniser = std::optional<Cause> (*)(RuntimeScene& scene, std::size_t frame);

std::optional<Cause> RecogniseAllocator(RuntimeScene& scene, std::size_t frame);  // tcmalloc, jemalloc
std::optional<Cause> RecogniseCpp(RuntimeScene& scene, std::size_t frame);  // exceptions, std::terminate
std::optional<Cause> RecogniseCppLibrary(RuntimeScene& scene,
                                         std::size_t frame);  // assertions of libstdc++, libc++
std::optional<Cause> RecogniseGlib(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseGo(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseJava(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseLogging(RuntimeScene& scene, std::size_t frame);  // glog, Abseil
std::optional<Cause> RecogniseMusl(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseNode(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecognisePython(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseQt(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseRedis(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseRust(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseSanitizer(RuntimeScene& scene, std::size_t frame);
std::optional<Cause> RecogniseVirtualMachine(RuntimeScene& scene, std::size_t frame);  // OCaml, Erlang

}  // namespace obit
