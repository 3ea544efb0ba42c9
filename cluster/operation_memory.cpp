#include "cluster/operation_memory.hpp"

#include "cluster/octets.hpp"

#include <atomic>
#include <cassert>

namespace custos::cluster {

namespace {

constexpr std::string_view what = "remembered operation";

enum class outcome_kind : std::uint8_t { unchanged = 0, changed, refused };

/// Cut where no character is.
std::string cut(std::string text, std::size_t bytes_max) {
  if (text.size() <= bytes_max)
    return text;
  auto end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;
  text.resize(end);
  return text;
}

void put_fingerprint(bytes& out, const std::string& fingerprint) {
  const auto digest = crypto::from_hex(fingerprint);
  assert(digest && digest->size() == sizeof(crypto::sha256_digest));
  put_octets(out, *digest);
}

bytes write(const remembered_operation& o, std::string_view message) {
  bytes out;
  out.reserve(operation_bytes_max);
  put_number(out, o.sequence);
  put_text<std::uint8_t>(out, o.operation_id);
  put_octets(out, o.command);
  put_octets(out, o.before);
  const auto kind = o.refusal           ? outcome_kind::refused
                    : o.outcome.changed ? outcome_kind::changed
                                        : outcome_kind::unchanged;
  put_number(out, static_cast<std::uint8_t>(kind));
  put_number(out, o.outcome.revision);
  put_fingerprint(out, o.outcome.fingerprint);
  if (o.refusal) {
    put_number(out, static_cast<std::uint8_t>(o.refusal->code));
    put_text<std::uint16_t>(out, o.refusal->field);
    put_text<std::uint16_t>(out, message);
    put_text<std::uint8_t>(out, o.refusal->check);
  }
  return out;
}

crypto::sha256_digest hash_after(const remembered_operation& o) {
  return crypto::sha256(write(o, {}));
}

result<void> read_refusal(octet_reader& in, error& out) {
  CUSTOS_TRY(const auto code, in.number<std::uint8_t>("code"));
  out.code = static_cast<errc>(code);
  if (code == 0 || (out.code != errc::internal && to_string(out.code) == to_string(errc::internal)))
    return in.bad("code", "the code of an error");
  CUSTOS_TRY(out.field, in.text<std::uint16_t>(refusal_text_bytes_max, "field"));
  CUSTOS_TRY(out.message, in.text<std::uint16_t>(refusal_text_bytes_max, "message"));
  CUSTOS_TRY(out.check, in.text<std::uint8_t>(refusal_check_bytes_max, "check"));
  return {};
}

} // namespace

bytes octets_of(const remembered_operation& operation) {
  return write(operation, operation.refusal ? operation.refusal->message : std::string());
}

result<remembered_operation> read_operation(byte_view octets) {
  octet_reader in(octets, what);
  remembered_operation out;
  CUSTOS_TRY(out.sequence, in.number<std::uint64_t>("sequence"));
  if (out.sequence == 0)
    return in.bad("sequence", "a number from 1");
  CUSTOS_TRY(out.operation_id, in.text<std::uint8_t>(operation_id_bytes_max, "operation_id"));
  if (!is_operation_id(out.operation_id))
    return in.bad("operation_id", "printable ASCII characters");
  CUSTOS_TRY(out.command, in.array<sizeof(crypto::sha256_digest)>("command"));
  CUSTOS_TRY(out.before, in.array<sizeof(crypto::sha256_digest)>("before"));
  CUSTOS_TRY(const auto kind, in.number<std::uint8_t>("outcome"));
  if (kind > static_cast<std::uint8_t>(outcome_kind::refused))
    return in.bad("outcome", "0, 1 or 2");
  out.outcome.changed = kind == static_cast<std::uint8_t>(outcome_kind::changed);
  CUSTOS_TRY(out.outcome.revision, in.number<std::uint64_t>("revision"));
  CUSTOS_TRY(const auto fingerprint, in.array<sizeof(crypto::sha256_digest)>("fingerprint"));
  out.outcome.fingerprint = crypto::hex(fingerprint);
  if (kind == static_cast<std::uint8_t>(outcome_kind::refused)) {
    CUSTOS_CHECK(read_refusal(in, out.refusal.emplace()));
  }
  CUSTOS_CHECK(in.finish());
  return out;
}

error refusal_of(error failure) {
  error out;
  out.code = failure.code;
  out.field = cut(std::move(failure.field), refusal_text_bytes_max);
  out.message = cut(std::move(failure.message), refusal_text_bytes_max);
  out.check = cut(std::move(failure.check), refusal_check_bytes_max);
  return out;
}

operation_memory::operation_memory() : content_(std::make_shared<content>()) {}

const remembered_operation* operation_memory::find(std::string_view operation_id) const {
  const auto found = content_->by_id.find(operation_id);
  return found == content_->by_id.end() ? nullptr : found->second;
}

std::uint64_t operation_memory::next_sequence() const {
  return all().empty() ? 1 : all().back()->sequence + 1;
}

bool operation_memory::is_whole() const {
  return all().empty() || all().size() == operations_remembered_max ||
         (all().front()->sequence == 1 && all().front()->before == crypto::sha256_digest{});
}

operation_memory::content& operation_memory::writable() {
  if (content_.use_count() > 1)
    content_ = std::make_shared<content>(*content_);
  else // whoever shared it until now has done with reading it
    std::atomic_thread_fence(std::memory_order_acquire);
  return *content_;
}

void operation_memory::append(operation_ptr operation) {
  auto& mine = writable();
  const auto [at, added] = mine.by_id.emplace(operation->operation_id, operation.get());
  assert(added);
  static_cast<void>(at);
  mine.hash = hash_after(*operation);
  mine.order.push_back(std::move(operation));
  if (mine.order.size() <= operations_remembered_max)
    return;
  mine.by_id.erase(mine.order.front()->operation_id);
  mine.order.pop_front();
}

void operation_memory::add(operation_ptr operation) {
  assert(operation->sequence == next_sequence() && operation->before == hash());
  append(std::move(operation));
}

result<void> operation_memory::load(remembered_operation operation) {
  const auto bad = [&](const std::string& how) {
    return make_error(errc::corrupted,
                      "remembered operation " + std::to_string(operation.sequence) + ": " + how);
  };
  if (all().size() >= operations_remembered_max)
    return bad("there are too many");
  if (!all().empty() && (operation.sequence != next_sequence() || operation.before != hash()))
    return bad("it does not follow the one before");
  if (find(operation.operation_id) != nullptr)
    return bad("its id is that of another one");
  append(std::make_shared<const remembered_operation>(std::move(operation)));
  return {};
}

} // namespace custos::cluster
