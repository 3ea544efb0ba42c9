// What is said of a node key: on the command line, in node-key.json; and how a new one takes its
// place.

#include "adapters/crypto/crypto.hpp"
#include "adapters/json/json.hpp"
#include "cluster/node_key_detail.hpp"
#include "cluster/secret_file.hpp"
#include "messages/config_commands.hpp"

#include <array>
#include <boost/json.hpp>
#include <charconv>
#include <system_error>

namespace custos::cluster {

namespace fs = std::filesystem;
namespace bj = boost::json;
using namespace node_key_detail;

namespace {

constexpr std::int64_t record_version = 1;
constexpr std::size_t record_bytes_max = 4096;
constexpr std::size_t id_bytes = 16;
constexpr std::size_t salt_bytes = 32;
constexpr std::int64_t pcrs_in_tpm = 24; // PC Client Platform TPM Profile 1.05, 4.6
constexpr std::size_t credential_name_bytes_max = 128;
/// Costs that are accepted: none that guessing likes, none that the memory of a node does not have.
constexpr std::int64_t scrypt_n_min = 1 << 14;
constexpr std::int64_t scrypt_n_max = 1 << 17;
constexpr std::int64_t scrypt_r = 8;
constexpr std::int64_t scrypt_p_max = 4;
constexpr std::string_view next_folder = "node-key.next";

constexpr std::array<std::pair<node_key_source, std::string_view>, 4> sources{{
    {node_key_source::file, "file"},
    {node_key_source::credential, "credential"},
    {node_key_source::passphrase, "passphrase"},
    {node_key_source::tpm, "tpm"},
}};

std::optional<node_key_source> source_of(std::string_view text) {
  for (const auto& [source, name] : sources)
    if (name == text)
      return source;
  return std::nullopt;
}

error bad_choice(const std::string& expected) {
  return field_error(errc::invalid_argument, std::string(field), "expected " + expected);
}

/// PCR 16 and 23 can be reset by anybody: they show nothing (PC Client TPM Profile, 4.6).
bool can_be_sealed_to(std::int64_t pcr) {
  return pcr >= 0 && pcr < pcrs_in_tpm && pcr != 16 && pcr != 23;
}

result<std::uint32_t> parse_pcrs(std::string_view text) {
  std::uint32_t mask = 0;
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    std::int64_t pcr = -1;
    const auto read = std::from_chars(text.data(), text.data() + comma, pcr);
    if (read.ec != std::errc() || read.ptr != text.data() + comma || !can_be_sealed_to(pcr) ||
        comma + 1 == text.size())
      return bad_choice("numbers of PCRs as in 0,7: 0 to 23, but not 16 or 23");
    mask |= 1U << static_cast<unsigned>(pcr);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return mask;
}

std::vector<std::uint32_t> numbers_of(std::uint32_t pcrs) {
  std::vector<std::uint32_t> out;
  for (std::uint32_t i = 0; i < pcrs_in_tpm; ++i)
    if ((pcrs >> i & 1U) != 0)
      out.push_back(i);
  return out;
}

bool is_credential_name(std::string_view text) {
  return text.size() <= credential_name_bytes_max && is_object_name(text);
}

} // namespace

std::string_view to_string(node_key_source source) {
  for (const auto& [s, name] : sources)
    if (s == source)
      return name;
  return "unknown";
}

result<node_key_choice> parse_node_key_choice(std::string_view source, std::string_view pcrs) {
  node_key_choice out;
  const auto colon = source.find(':');
  const auto known = source_of(source.substr(0, colon));
  const bool named = colon != std::string_view::npos;
  if (!known || named != (*known == node_key_source::credential))
    return bad_choice("file, credential:NAME, passphrase or tpm");
  out.source = *known;
  if (named)
    out.credential = source.substr(colon + 1);
  if (named && !is_credential_name(out.credential))
    return bad_choice("the name of a credential: 1-128 characters of A-Z a-z 0-9 . _ -, the first "
                      "a letter or digit");
  if (!pcrs.empty() && out.source != node_key_source::tpm)
    return bad_choice("PCRs with tpm only");
  CUSTOS_TRY(out.pcrs, parse_pcrs(pcrs));
  return out;
}

std::string text_of(const node_key_choice& choice) {
  std::string out(to_string(choice.source));
  if (choice.source == node_key_source::credential)
    out += ":" + choice.credential;
  if (choice.pcrs == 0)
    return out;
  const char* between = " (PCRs ";
  for (const auto pcr : numbers_of(choice.pcrs)) {
    out.append(between).append(std::to_string(pcr));
    between = ",";
  }
  return out + ")";
}

// ---- node-key.json ------------------------------------------------------------------------------

namespace node_key_detail {

record new_record(const node_key_choice& choice) {
  record out;
  out.id = crypto::hex(crypto::random_bytes(id_bytes));
  out.choice = choice;
  if (choice.source == node_key_source::credential || choice.source == node_key_source::passphrase)
    out.salt = crypto::random_bytes(salt_bytes);
  return out;
}

std::string write_record(const record& r) {
  bj::object out{{"version", record_version}, {"id", r.id}, {"source", to_string(r.choice.source)}};
  if (r.choice.source == node_key_source::credential)
    out["credential"] = r.choice.credential;
  if (!r.salt.empty())
    out["salt"] = crypto::base64url(r.salt);
  if (r.choice.source == node_key_source::passphrase)
    out["scrypt"] = bj::object{{"n", r.cost.n}, {"r", r.cost.r}, {"p", r.cost.p}};
  if (r.choice.pcrs != 0) {
    bj::array pcrs;
    for (const auto pcr : numbers_of(r.choice.pcrs))
      pcrs.emplace_back(pcr);
    out["pcrs"] = std::move(pcrs);
  }
  return json::canonical(out) + "\n";
}

namespace {

result<scrypt_cost> read_cost(json::object& o) {
  scrypt_cost out;
  CUSTOS_TRY(auto cost, o.child("scrypt"));
  CUSTOS_TRY(const auto n, cost.integer("n", scrypt_n_min, scrypt_n_max));
  if ((n & (n - 1)) != 0)
    return make_error(errc::invalid_argument, "expected a power of two as n");
  CUSTOS_TRY(const auto r, cost.integer("r", scrypt_r, scrypt_r));
  CUSTOS_TRY(const auto p, cost.integer("p", 1, scrypt_p_max));
  CUSTOS_CHECK(cost.finish());
  out.n = static_cast<std::uint64_t>(n);
  out.r = static_cast<std::uint32_t>(r);
  out.p = static_cast<std::uint32_t>(p);
  return out;
}

result<std::uint32_t> read_pcrs(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("pcrs", pcrs_in_tpm, true));
  std::uint32_t out = 0;
  for (const auto& item : items) {
    CUSTOS_TRY(const auto pcr, item.as_integer(0, pcrs_in_tpm - 1));
    out |= 1U << static_cast<unsigned>(pcr);
  }
  return out;
}

result<record> parse_record(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, record_bytes_max));
  CUSTOS_TRY(const auto version, o.integer("version", record_version, record_version));
  static_cast<void>(version); // there is one
  record out;
  CUSTOS_TRY(out.id, o.string("id", 2 * id_bytes));
  CUSTOS_TRY(const auto source, o.string("source", 16));
  const auto known = source_of(source);
  if (!known || out.id.size() != 2 * id_bytes)
    return make_error(errc::invalid_argument, "expected an id and a known source");
  out.choice.source = *known;
  if (*known == node_key_source::credential) {
    CUSTOS_TRY(out.choice.credential, o.string("credential", credential_name_bytes_max));
    if (!is_credential_name(out.choice.credential))
      return make_error(errc::invalid_argument, "expected the name of a credential");
  }
  if (*known == node_key_source::credential || *known == node_key_source::passphrase) {
    CUSTOS_TRY(out.salt, o.base64url("salt", salt_bytes));
    if (out.salt.size() != salt_bytes)
      return make_error(errc::invalid_argument, "expected a salt of 32 bytes");
  }
  if (*known == node_key_source::passphrase) {
    CUSTOS_TRY(out.cost, read_cost(o));
  }
  if (*known == node_key_source::tpm) {
    CUSTOS_TRY(out.choice.pcrs, read_pcrs(o));
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

} // namespace

result<record> read_record(const fs::path& folder) {
  secret_file_rules rules;
  rules.what = "description of the node key";
  rules.field = field;
  rules.bytes_max = record_bytes_max;
  const auto octets = read_secret_file(folder / record_file, rules);
  if (!octets && octets.failure().code == errc::not_found)
    return record{};
  if (!octets)
    return octets.failure();
  auto out = parse_record(as_text(octets->reveal_secret()));
  if (!out)
    return field_error(errc::corrupted, std::string(field),
                       (folder / record_file).string() + ": " + out.failure().field + " " +
                           out.failure().message);
  return out;
}

} // namespace node_key_detail

// ---- a new node key takes its place -------------------------------------------------------------

namespace {

error not_done(const char* doing, const fs::path& file, const std::error_code& why) {
  return make_error(errc::storage_failure, doing + (" " + file.string() + ": ") + why.message());
}

result<void> erase(const fs::path& file) {
  std::error_code failed;
  fs::remove_all(file, failed);
  if (failed)
    return not_done("removing", file, failed);
  return {};
}

result<void> move_if_there(const fs::path& from, const fs::path& to) {
  std::error_code failed;
  if (!fs::exists(from, failed) && !failed)
    return {};
  if (!failed)
    fs::rename(from, to, failed);
  if (failed)
    return not_done("moving", from, failed);
  return {};
}

/// In this order: until the description is moved, what is here says that it is not done yet.
result<void> install(const fs::path& folder, const fs::path& next, node_key_source source) {
  CUSTOS_CHECK(move_if_there(next / key_file, folder / key_file));
  CUSTOS_CHECK(move_if_there(next / sealed_file, folder / sealed_file));
  if (source != node_key_source::file)
    CUSTOS_CHECK(erase(folder / key_file));
  if (source != node_key_source::tpm)
    CUSTOS_CHECK(erase(folder / sealed_file));
  CUSTOS_CHECK(sync_folder(folder));
  return move_if_there(next / record_file, folder / record_file);
}

} // namespace

fs::path next_node_key_folder(const fs::path& folder) {
  return folder / next_folder;
}

result<void> settle_node_key(const fs::path& folder, std::string_view committed) {
  const auto next = next_node_key_folder(folder);
  std::error_code failed;
  if (!fs::exists(next, failed) && !failed)
    return {};
  const auto r = read_record(next);
  if (r && !r->id.empty() && r->id == committed) {
    CUSTOS_CHECK(install(folder, next, r->choice.source));
  } else {
    // Nothing is thrown away that could be the only key.
    CUSTOS_TRY(const auto present, read_record(folder));
    if (present.id != committed)
      return field_error(errc::corrupted, std::string(field),
                         folder.string() + ": neither " + std::string(record_file) + " nor " +
                             std::string(next_folder) + " is the node key that the store names");
  }
  CUSTOS_CHECK(erase(next));
  return sync_folder(folder);
}

} // namespace custos::cluster
