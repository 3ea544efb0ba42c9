#include "adapters/http/request_parser.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const custos::http::server_options limits;
  const auto parsed = custos::http::parse_request({data, size}, limits);
  if (parsed && parsed->path.find("..") != std::string::npos &&
      parsed->path.find("/../") != std::string::npos)
    __builtin_trap(); // a normalised path never climbs
  return 0;
}
