#include "cluster/state_image.hpp"

#include "cluster/octets.hpp"

namespace custos::cluster {

namespace {

constexpr std::string_view what = "image of the state";
constexpr std::string_view magic = "CUSTOSST";
constexpr std::size_t digest_bytes = sizeof(crypto::sha256_digest);
constexpr std::size_t object_overhead_bytes = 1 + 4;

/// Over all that is in `out`.
void put_checksum(bytes& out) {
  const auto checksum = crypto::sha256(out);
  put_octets(out, checksum);
}

std::size_t size_of(const config_state& state) {
  std::size_t out = magic.size() + 1 + 8 + 8 + 2 * digest_bytes + 4 + digest_bytes +
                    object_kinds * (1 + 4) + state.operations().size() * (4 + operation_bytes_max);
  for (std::size_t i = 0; i < object_kinds; ++i)
    state.table(static_cast<object_kind>(i + 1)).for_each([&](const object_ptr& object) {
      out += object_overhead_bytes + object->name.size() + object->document.size();
    });
  return out;
}

error corrupted(error e) {
  e.code = errc::corrupted;
  return e;
}

/// Reads the image but for its checksum. Errors are errc::malformed.
class image_reader {
public:
  explicit image_reader(byte_view octets) : in_(octets, what) {}

  result<config_state> read() {
    CUSTOS_CHECK(read_start());
    CUSTOS_CHECK(read_operations());
    for (std::size_t i = 0; i < object_kinds; ++i)
      CUSTOS_CHECK(read_objects(static_cast<object_kind>(i + 1)));
    CUSTOS_CHECK(in_.finish());
    return loader_.finish(head_);
  }

private:
  result<void> read_start() {
    CUSTOS_CHECK(in_.take(magic.size() + 1, "version")); // judged already
    CUSTOS_TRY(head_.applied_index, in_.number<std::uint64_t>("applied_index"));
    CUSTOS_TRY(head_.revision, in_.number<std::uint64_t>("revision"));
    CUSTOS_TRY(const auto fingerprint, in_.array<digest_bytes>("fingerprint"));
    head_.fingerprint = crypto::hex(fingerprint);
    CUSTOS_TRY(head_.state_hash, in_.array<digest_bytes>("state_hash"));
    return {};
  }

  result<void> read_operations() {
    CUSTOS_TRY(const auto count, in_.number<std::uint32_t>("operations"));
    for (std::uint32_t i = 0; i < count; ++i) {
      CUSTOS_TRY(const auto octets, in_.text<std::uint32_t>(operation_bytes_max, "operations"));
      CUSTOS_TRY(auto operation, read_operation(as_bytes(octets)));
      CUSTOS_CHECK(loader_.add_operation(std::move(operation)));
    }
    return {};
  }

  result<void> read_objects(object_kind kind) {
    CUSTOS_TRY(const auto number, in_.number<std::uint8_t>("kind"));
    if (number != static_cast<std::uint8_t>(kind))
      return in_.bad("kind", std::to_string(static_cast<unsigned>(kind)));
    CUSTOS_TRY(const auto count, in_.number<std::uint32_t>("objects"));
    if (count > objects_max(kind))
      return in_.bad("objects", "at most " + std::to_string(objects_max(kind)));
    std::string_view before;
    for (std::uint32_t i = 0; i < count; ++i) {
      CUSTOS_TRY(const auto name, in_.text<std::uint8_t>(object_name_bytes_max, "name"));
      CUSTOS_TRY(const auto document,
                 in_.text<std::uint32_t>(config_document_bytes_max, "document"));
      if (name <= before)
        return in_.bad("name", "one that comes after that of the object before");
      CUSTOS_CHECK(loader_.add_object(kind, std::string(name), document));
      before = name;
    }
    return {};
  }

  octet_reader in_;
  config_state_loader loader_;
  state_head head_;
};

} // namespace

bytes encode_state(const config_state& state) {
  const auto head = head_of(state);
  const auto fingerprint = crypto::from_hex(head.fingerprint);
  assert(fingerprint && head.state_hash);
  bytes out;
  out.reserve(size_of(state));
  put_octets(out, as_bytes(magic));
  put_number(out, state_image_version);
  put_number(out, head.applied_index);
  put_number(out, head.revision);
  put_octets(out, *fingerprint);
  put_octets(out, *head.state_hash);
  put_number(out, static_cast<std::uint32_t>(state.operations().size()));
  for (const auto& operation : state.operations())
    put_text<std::uint32_t>(out, as_text(octets_of(*operation)));
  for (std::size_t i = 0; i < object_kinds; ++i) {
    const auto kind = static_cast<object_kind>(i + 1);
    put_number(out, static_cast<std::uint8_t>(kind));
    put_number(out, static_cast<std::uint32_t>(state.count(kind)));
    for (const auto& object : state.all(kind)) {
      put_text<std::uint8_t>(out, object->name);
      put_text<std::uint32_t>(out, object->document);
    }
  }
  put_checksum(out);
  return out;
}

result<config_state> decode_state(byte_view image) {
  if (image.size() > state_image_bytes_max)
    return make_error(errc::too_large, "image of the state: expected at most " +
                                           std::to_string(state_image_bytes_max) + " octets");
  if (image.size() < magic.size() + 1 + digest_bytes || as_text(image.first(magic.size())) != magic)
    return make_error(errc::corrupted, "this is no image of the state of a ConfigStore");
  if (image[magic.size()] != state_image_version)
    return make_error(errc::unsupported, "image of the state: version " +
                                             std::to_string(image[magic.size()]) +
                                             " is of a later version of the program");
  const auto content = image.first(image.size() - digest_bytes);
  if (!crypto::equal(crypto::sha256(content), image.last(digest_bytes)))
    return make_error(errc::corrupted, "image of the state: its checksum does not hold");
  auto state = image_reader(content).read();
  if (!state)
    return corrupted(std::move(state).failure());
  return state;
}

} // namespace custos::cluster
