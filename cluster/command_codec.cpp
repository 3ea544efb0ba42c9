#include "cluster/command_codec.hpp"

#include "cluster/octets.hpp"

#include <algorithm>
#include <cassert>

namespace custos::cluster {

namespace {

constexpr std::string_view what = "command";

bool is_action(config_action action) {
  return action >= config_action::put && action <= config_action::erase;
}

error too_long(std::string_view field, std::size_t bytes_max) {
  return field_error(errc::too_large, std::string(field),
                     "expected at most " + std::to_string(bytes_max) + " bytes");
}

error unknown(std::string_view field, unsigned number) {
  return field_error(errc::unsupported, std::string(field),
                     "command: " + std::string(field) + " " + std::to_string(number) +
                         " is of a later version of the program");
}

result<std::optional<std::uint64_t>> read_if_revision(octet_reader& in) {
  CUSTOS_TRY(const auto given, in.number<std::uint8_t>("if_revision"));
  CUSTOS_TRY(const auto revision, in.number<std::uint64_t>("if_revision"));
  if (given > 1 || (given == 0 && revision != 0))
    return in.bad("if_revision", "1 and a revision, or zeros");
  return given == 0 ? std::optional<std::uint64_t>() : std::optional(revision);
}

} // namespace

bool is_operation_id(std::string_view text) {
  return !text.empty() && text.size() <= operation_id_bytes_max &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

result<void> check_replicable(const config_command& command) {
  if (to_string(command.kind) == "unknown")
    return field_error(errc::invalid_argument, "kind", "expected a kind of configuration object");
  if (!is_action(command.action))
    return field_error(errc::invalid_argument, "action", "expected put, create or erase");
  if (!is_operation_id(command.operation_id))
    return field_error(errc::invalid_argument, "operation_id",
                       "expected 1-" + std::to_string(operation_id_bytes_max) +
                           " printable ASCII characters without spaces");
  if (command.name.size() > object_name_bytes_max)
    return too_long("name", object_name_bytes_max);
  if (command.actor.size() > actor_bytes_max)
    return too_long("actor", actor_bytes_max);
  if (command.document.size() > config_document_bytes_max)
    return too_long("", config_document_bytes_max);
  return {};
}

bytes encode(const replicated_command& entry) {
  const auto& c = entry.command;
  assert(check_replicable(c).ok());
  bytes out;
  out.reserve(command_bytes_max - config_document_bytes_max + c.document.size());
  put_number(out, command_version);
  put_number(out, entry.valid_until);
  put_number(out, static_cast<std::uint8_t>(c.action));
  put_number(out, static_cast<std::uint8_t>(c.kind));
  put_number(out, static_cast<std::uint8_t>(c.if_revision ? 1 : 0));
  put_number(out, c.if_revision.value_or(0));
  put_text<std::uint8_t>(out, c.operation_id);
  put_text<std::uint8_t>(out, c.name);
  put_text<std::uint16_t>(out, c.actor);
  put_text<std::uint32_t>(out, c.document);
  return out;
}

result<replicated_command> decode_replicated_command(byte_view octets) {
  octet_reader in(octets, what);
  replicated_command out;
  auto& c = out.command;
  CUSTOS_TRY(const auto version, in.number<std::uint8_t>("version"));
  if (version != command_version)
    return unknown("version", version);
  CUSTOS_TRY(out.valid_until, in.number<std::uint64_t>("valid_until"));
  CUSTOS_TRY(const auto action, in.number<std::uint8_t>("action"));
  c.action = static_cast<config_action>(action);
  if (!is_action(c.action))
    return unknown("action", action);
  CUSTOS_TRY(const auto kind, in.number<std::uint8_t>("kind"));
  c.kind = static_cast<object_kind>(kind);
  if (to_string(c.kind) == "unknown")
    return unknown("kind", kind);
  CUSTOS_TRY(c.if_revision, read_if_revision(in));
  CUSTOS_TRY(c.operation_id, in.text<std::uint8_t>(operation_id_bytes_max, "operation_id"));
  if (!is_operation_id(c.operation_id))
    return in.bad("operation_id", "printable ASCII characters");
  CUSTOS_TRY(c.name, in.text<std::uint8_t>(object_name_bytes_max, "name"));
  CUSTOS_TRY(c.actor, in.text<std::uint16_t>(actor_bytes_max, "actor"));
  CUSTOS_TRY(c.document, in.text<std::uint32_t>(config_document_bytes_max, "document"));
  CUSTOS_CHECK(in.finish());
  return out;
}

} // namespace custos::cluster
