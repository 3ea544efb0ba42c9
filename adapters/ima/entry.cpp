#include "adapters/ima/templates.hpp"

namespace custos::ima {

std::string_view to_string(template_kind kind) {
  for (const auto& t : templates)
    if (t.kind == kind)
      return t.name;
  return "unknown";
}

std::optional<crypto::hash_alg> entry::hash() const {
  const auto alg = crypto::hash_alg_of(algorithm);
  if (!alg || crypto::digest_size(*alg) != digest.size())
    return std::nullopt;
  return *alg;
}

std::string printable(std::string_view path) {
  constexpr std::size_t chars_max = 200;
  std::string out(path.substr(0, chars_max));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return path.size() > chars_max ? out + "..." : out;
}

error entry_error(const entry& e, errc code, const std::string& what) {
  auto failure = make_error(code, "IMA log, entry " + std::to_string(e.index) + " at offset " +
                                      std::to_string(e.offset) + ": " + what);
  failure.check = "ima-log";
  failure.pcr = measured_pcr;
  failure.event = e.index;
  return failure;
}

} // namespace custos::ima
