#include "cluster/backup/objects.hpp"

namespace custos::backup {

using cluster::config_state;
using cluster::config_state_loader;

namespace {

constexpr std::size_t fingerprint_bytes = 64;

void put_number(bytes& out, std::uint64_t n, unsigned octets) {
  for (unsigned i = octets; i > 0; --i)
    out.push_back(static_cast<std::uint8_t>(n >> (8U * (i - 1))));
}

class reader {
public:
  explicit reader(byte_view octets) : rest_(octets) {}
  result<byte_view> take(std::size_t n) {
    if (n > rest_.size())
      return make_error(errc::corrupted, "configuration: cut off");
    const auto out = rest_.first(n);
    rest_ = rest_.subspan(n);
    return out;
  }
  result<std::uint64_t> number(unsigned octets) {
    CUSTOS_TRY(const auto taken, take(octets));
    std::uint64_t n = 0;
    for (const auto octet : taken)
      n = n << 8U | octet;
    return n;
  }
  [[nodiscard]] bool empty() const { return rest_.empty(); }

private:
  byte_view rest_;
};

} // namespace

bytes encode_state(const config_state& state) {
  bytes out;
  put_number(out, state.revision(), 8);
  out.insert(out.end(), state.fingerprint().begin(), state.fingerprint().end());
  for (auto kind = object_kind::tpm_ca; kind <= last_object_kind;
       kind = static_cast<object_kind>(static_cast<unsigned>(kind) + 1))
    for (const auto& [name, object] : state.all(kind)) {
      out.push_back(static_cast<std::uint8_t>(kind));
      put_number(out, name.size(), 1);
      out.insert(out.end(), name.begin(), name.end());
      put_number(out, object->document.size(), 4);
      out.insert(out.end(), object->document.begin(), object->document.end());
    }
  return out;
}

result<config_state> decode_state(byte_view image) {
  reader in(image);
  CUSTOS_TRY(const auto revision, in.number(8));
  CUSTOS_TRY(const auto fingerprint, in.take(fingerprint_bytes));
  config_state_loader loader;
  while (!in.empty()) {
    CUSTOS_TRY(const auto kind, in.number(1));
    CUSTOS_TRY(const auto name_bytes, in.number(1));
    CUSTOS_TRY(const auto name, in.take(name_bytes));
    CUSTOS_TRY(const auto document_bytes, in.number(4));
    CUSTOS_TRY(const auto document, in.take(document_bytes));
    CUSTOS_CHECK(loader.add_object(static_cast<object_kind>(kind), std::string(as_text(name)),
                                   as_text(document)));
  }
  return loader.finish(revision, as_text(fingerprint));
}

} // namespace custos::backup
