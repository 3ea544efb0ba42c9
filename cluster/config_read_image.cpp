// Reader of base images.

#include "cluster/config_codec_detail.hpp"

#include <set>

namespace custos::cluster::detail {

namespace {

result<pcr_form> read_form(json::object& o) {
  CUSTOS_TRY(const auto text, o.string("form", 16));
  if (text == "exact")
    return pcr_form::exact;
  if (text == "ordered")
    return pcr_form::ordered;
  if (text == "set")
    return pcr_form::set;
  if (text == "ignored")
    return pcr_form::ignored;
  return bad(o.path() + "/form", R"("exact", "ordered", "set" or "ignored")");
}

result<std::vector<bytes>> read_values(json::object& o, std::size_t digest_bytes) {
  CUSTOS_TRY(const auto texts, o.array("values", values_per_pcr_max));
  if (texts.empty())
    return bad(o.path() + "/values", "at least one digest");
  std::vector<bytes> out;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CUSTOS_TRY(const auto text, texts[i].as_string(2 * digest_bytes));
    auto digest = crypto::from_hex(text);
    if (!digest || digest->size() != digest_bytes)
      return bad(at(o.path() + "/values", i), std::to_string(2 * digest_bytes) + " hex digits");
    out.push_back(std::move(*digest));
  }
  return out;
}

result<std::vector<image_event>> read_events(json::object& o, std::size_t digest_bytes) {
  CUSTOS_TRY(const auto items, o.array("events", events_per_pcr_max));
  std::vector<image_event> out;
  for (const auto& item : items) {
    CUSTOS_TRY(auto e, item.as_object());
    image_event event;
    CUSTOS_TRY(const auto type, e.integer("type", 0, 0xFFFFFFFFLL));
    event.type = static_cast<std::uint32_t>(type);
    CUSTOS_TRY(event.digest, read_digest(e, "digest", digest_bytes));
    CUSTOS_TRY(auto hint, e.optional_string("hint", hint_bytes_max));
    event.hint = std::move(hint).value_or("");
    CUSTOS_CHECK(e.finish());
    out.push_back(std::move(event));
  }
  return out;
}

/// Members of another form are refused by finish(): what is not judged must not look as if it were.
result<pcr_policy> read_policy(json::object& o, std::size_t digest_bytes) {
  pcr_policy out;
  CUSTOS_TRY(const auto pcr, o.integer("pcr", 0, pcrs_in_tpm - 1));
  // 16 (debug) and 23 (application) can be reset by anybody: they prove nothing.
  if (pcr == 16 || pcr == 23)
    return bad(o.path() + "/pcr", "a PCR other than 16 and 23, which software can reset");
  out.pcr = static_cast<std::uint32_t>(pcr);
  CUSTOS_TRY(out.form, read_form(o));
  if (out.form == pcr_form::exact) {
    CUSTOS_TRY(out.values, read_values(o, digest_bytes));
  } else if (out.form != pcr_form::ignored) {
    CUSTOS_TRY(out.events, read_events(o, digest_bytes));
  }
  CUSTOS_CHECK(o.finish());
  return out;
}

result<std::vector<bytes>> read_digests(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto items, o.array(name, secure_boot_entries_max, true));
  std::vector<bytes> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto text, items[i].as_string(64));
    auto digest = crypto::from_hex(text);
    if (!digest || digest->size() != 32)
      return bad(at(o.path() + "/" + std::string(name), i), "64 hex digits");
    out.push_back(std::move(*digest));
  }
  return out;
}

result<std::optional<secure_boot_demand>> read_secure_boot(json::object& o) {
  CUSTOS_TRY(auto given, o.optional_child("secure_boot"));
  if (!given)
    return std::optional<secure_boot_demand>();
  secure_boot_demand out;
  CUSTOS_TRY(out.enabled, given->boolean("enabled"));
  CUSTOS_TRY(out.authorities, read_digests(*given, "authorities"));
  CUSTOS_TRY(out.revoked, read_digests(*given, "revoked"));
  if (!out.enabled && !out.authorities.empty())
    return bad("/secure_boot/authorities", "none where Secure Boot is demanded to be off");
  CUSTOS_CHECK(given->finish());
  return std::optional(std::move(out));
}

/// Digests of files: SHA-1 (judged only where allow_sha1), SHA-256, SHA-384 or SHA-512 by length.
result<std::vector<bytes>> read_file_digests(json::object& o) {
  CUSTOS_TRY(const auto items, o.array("digests", ima_digests_per_file_max));
  if (items.empty())
    return bad(o.path() + "/digests", "at least one digest");
  std::vector<bytes> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    CUSTOS_TRY(const auto text, items[i].as_string(128));
    auto digest = crypto::from_hex(text);
    const auto n = digest ? digest->size() : 0;
    if (n != 20 && n != 32 && n != 48 && n != 64)
      return bad(at(o.path() + "/digests", i), "40, 64, 96 or 128 hex digits");
    out.push_back(std::move(*digest));
  }
  return out;
}

result<std::vector<ima_file>> read_ima_files(json::object& o, std::string_view name) {
  CUSTOS_TRY(const auto items, o.array(name, ima_files_max, true));
  std::vector<ima_file> out;
  out.reserve(items.size());
  for (const auto& item : items) {
    CUSTOS_TRY(auto f, item.as_object());
    ima_file file;
    CUSTOS_TRY(file.path, f.string("path", path_bytes_max));
    if (file.path.empty())
      return bad(f.path() + "/path", "a path or name that is not empty");
    CUSTOS_TRY(file.digests, read_file_digests(f));
    CUSTOS_CHECK(f.finish());
    out.push_back(std::move(file));
  }
  return out;
}

result<std::optional<ima_policy>> read_ima(json::object& o) {
  CUSTOS_TRY(auto given, o.optional_child("ima"));
  if (!given)
    return std::optional<ima_policy>();
  ima_policy out;
  CUSTOS_TRY(out.files, read_ima_files(*given, "files"));
  CUSTOS_TRY(out.buffers, read_ima_files(*given, "buffers"));
  CUSTOS_TRY(const auto signers, given->array("signers", ima_signers_max, true));
  for (std::size_t i = 0; i < signers.size(); ++i) {
    CUSTOS_TRY(const auto pem, signers[i].as_string(pem_bytes_max));
    const auto key = crypto::public_key_from_pem(as_bytes(pem));
    if (!key)
      return bad(at("/ima/signers", i), "a PEM public key: " + key.failure().message);
    out.signers.push_back(key->spki_der());
  }
  CUSTOS_TRY(const auto ignored, given->array("ignored", ima_paths_max, true));
  for (std::size_t i = 0; i < ignored.size(); ++i) {
    CUSTOS_TRY(auto prefix, ignored[i].as_string(path_bytes_max));
    if (prefix.size() < 2 || prefix.front() != '/')
      return bad(at("/ima/ignored", i), "an absolute path below the root");
    out.ignored.push_back(std::move(prefix));
  }
  CUSTOS_CHECK(given->finish());
  return std::optional(std::move(out));
}

} // namespace

result<base_image> read_base_image(json::object& o) {
  base_image out;
  CUSTOS_TRY(out.version, o.string("version", version_bytes_max));
  if (out.version.empty())
    return bad("/version", "a version that is not empty");
  CUSTOS_TRY(auto bank, o.optional_string("bank", 16));
  out.bank = std::move(bank).value_or(out.bank);
  const auto alg = crypto::hash_alg_of(out.bank);
  if (!alg || *alg == crypto::hash_alg::sha1)
    return bad("/bank", R"("sha256", "sha384" or "sha512")");
  CUSTOS_TRY(const auto items, o.array("pcrs", static_cast<std::size_t>(pcrs_in_tpm)));
  bool judges = false;
  std::set<std::uint32_t> seen;
  for (const auto& item : items) {
    CUSTOS_TRY(auto p, item.as_object());
    CUSTOS_TRY(auto policy, read_policy(p, crypto::digest_size(*alg)));
    if (!seen.insert(policy.pcr).second)
      return bad(p.path() + "/pcr", "each PCR once");
    judges = judges || policy.form != pcr_form::ignored;
    out.pcrs.push_back(std::move(policy));
  }
  CUSTOS_TRY(out.secure_boot, read_secure_boot(o));
  CUSTOS_TRY(out.ima, read_ima(o));
  CUSTOS_TRY(out.audit_only, flag(o, "audit_only", false));
  if (!judges)
    return bad("/pcrs", "at least one PCR that is not ignored: an image that judges nothing would "
                        "accept everything");
  return out;
}

} // namespace custos::cluster::detail
