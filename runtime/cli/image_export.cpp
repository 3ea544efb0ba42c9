// custos image export: from what golden hosts booted to a file that a cluster takes.

#include "actors/attestation/ima_check.hpp"
#include "actors/attestation/image_build.hpp"
#include "actors/attestation/secure_boot.hpp"
#include "actors/gateway/wire.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"
#include "runtime/cli/image_commands.hpp"
#include "runtime/cli/inputs.hpp"
#include "runtime/cli/render.hpp"
#include "runtime/files.hpp"
#include "runtime/program.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <set>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t evidence_file_bytes_max = std::size_t{16} << 20;
constexpr std::size_t ima_log_bytes_max = std::size_t{64} << 20;
constexpr std::uint32_t resettable_pcrs = 1U << 16 | 1U << 23;

struct export_arguments {
  std::vector<std::string> event_logs;
  std::vector<std::string> pcr_values;
  std::vector<std::string> evidence;
  std::string bank = "sha256";
  std::string pcrs = "0-9,14";
  std::string exact;
  std::string ignored;
  std::string varying = "set";
  std::string secure_boot = "none";
  bool authorities = false;
  std::vector<std::string> ima_logs;
  std::vector<std::string> ima_signers;
  std::vector<std::string> ima_ignored;
  bool audit_only = false;
  std::string name;
  std::string version = "1";
  std::string out;
  std::string sign_key;
};

/// What was read of one golden host; `boot` looks into `log`.
struct golden_host {
  boot_log log;
  std::vector<pcr_value> values;
  std::string source;
};

/// The event log and the values of evidence as a host sends it; the values are those that its quote
/// is over.
result<golden_host> read_evidence(const std::string& file) {
  CUSTOS_TRY(const auto text, runtime::read_text_file(file, evidence_file_bytes_max));
  auto e = gateway::decode_evidence(text);
  if (!e)
    return in_file(file, std::move(e).failure());
  const auto quote = tpm::parse_quote(e->quote);
  if (!quote)
    return in_file(file, quote.failure());
  const auto signature = tpm::parse_signature(e->signature);
  if (!signature)
    return in_file(file, signature.failure());
  const auto digest = tpm::pcr_composite_digest(signature->hash, quote->selection, e->pcrs);
  if (!digest || !crypto::equal(*digest, quote->pcr_digest))
    return field_error(errc::malformed, file, "its PCR values are not those of its quote");
  golden_host out;
  out.source = file;
  CUSTOS_TRY(out.log, parse_boot_log(file, std::move(e->event_log)));
  for (const auto& s : quote->selection)
    for (auto& v : e->pcrs)
      if (v.bank == static_cast<std::uint16_t>(s.bank) && (s.mask >> v.pcr & 1U) != 0)
        out.values.push_back(std::move(v));
  return out;
}

result<std::vector<golden_host>> read_hosts(const export_arguments& a) {
  auto logs = a.event_logs;
  if (logs.empty() && a.evidence.empty())
    logs.emplace_back("/sys/kernel/security/tpm0/binary_bios_measurements");
  if (!a.pcr_values.empty() && a.pcr_values.size() != logs.size())
    return field_error(errc::invalid_argument, "--pcr-values",
                       "expected one file for each --event-log, in the same order");
  std::vector<golden_host> out;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    golden_host one;
    one.source = logs[i];
    CUSTOS_TRY(one.log, read_boot_log(logs[i]));
    if (!a.pcr_values.empty()) {
      CUSTOS_TRY(one.values, read_pcr_values(a.pcr_values[i]));
    }
    out.push_back(std::move(one));
  }
  for (const auto& file : a.evidence) {
    CUSTOS_TRY(auto one, read_evidence(file));
    out.push_back(std::move(one));
  }
  return out;
}

result<attestation::build_options> options_of(const export_arguments& a) {
  attestation::build_options out;
  out.name = a.name;
  out.version = a.version;
  CUSTOS_TRY(out.bank, crypto::hash_alg_of(a.bank));
  CUSTOS_TRY(out.pcrs, pcr_mask("--pcrs", a.pcrs));
  CUSTOS_TRY(out.exact, pcr_mask("--exact", a.exact));
  CUSTOS_TRY(out.ignored, pcr_mask("--ignore", a.ignored));
  for (const auto& [flag, mask] : {std::pair{"--pcrs", out.pcrs}, std::pair{"--exact", out.exact},
                                   std::pair{"--ignore", out.ignored}})
    if ((mask & resettable_pcrs) != 0)
      return field_error(errc::invalid_argument, flag,
                         "expected a PCR other than 16 and 23, which software can reset");
  if ((out.exact & out.ignored) != 0)
    return field_error(errc::invalid_argument, "--ignore",
                       "expected PCRs that --exact does not name");
  out.varying = a.varying == "set"      ? attestation::varying_pcrs::set
                : a.varying == "ignore" ? attestation::varying_pcrs::ignore
                                        : attestation::varying_pcrs::refuse;
  return out;
}

/// What the golden hosts' logs say of Secure Boot, where it is asked for.
result<std::optional<secure_boot_demand>> secure_boot_of(const export_arguments& a,
                                                         crypto::hash_alg bank,
                                                         const std::vector<golden_host>& hosts) {
  if (a.secure_boot == "none") {
    if (a.authorities)
      return field_error(errc::invalid_argument, "--authorities",
                         "expected --secure-boot log or on beside it");
    return std::optional<secure_boot_demand>();
  }
  std::optional<bool> enabled;
  std::set<bytes> authorities;
  if (a.secure_boot != "log")
    enabled = a.secure_boot == "on";
  for (const auto& h : hosts) {
    auto facts = attestation::read_secure_boot(h.log.parsed, bank);
    if (!facts) {
      auto e = std::move(facts).failure();
      e.field = h.source;
      return e;
    }
    if (!enabled)
      enabled = facts->enabled;
    if (facts->enabled != *enabled)
      return field_error(errc::invalid_argument, h.source,
                         std::string("Secure Boot is ") + (facts->enabled ? "on" : "off") +
                             " there, against the other hosts or --secure-boot");
    for (const auto& one : facts->authorities)
      if (one.origin != attestation::authority_origin::setting)
        authorities.emplace(one.id.begin(), one.id.end());
  }
  secure_boot_demand out;
  out.enabled = *enabled;
  if (a.authorities && out.enabled)
    out.authorities.assign(authorities.begin(), authorities.end());
  return std::optional(std::move(out));
}

result<std::optional<ima_policy>> ima_of(const export_arguments& a) {
  if (a.ima_logs.empty() && a.ima_signers.empty() && a.ima_ignored.empty())
    return std::optional<ima_policy>();
  ima_policy out;
  out.ignored = a.ima_ignored;
  for (const auto& file : a.ima_signers) {
    CUSTOS_TRY(const auto key, read_public_key(file));
    out.signers.push_back(key.spki_der());
  }
  for (const auto& file : a.ima_logs) {
    CUSTOS_TRY(const auto log, read_octets(file, ima_log_bytes_max));
    ima::limits limits;
    limits.log_bytes_max = ima_log_bytes_max;
    auto more = attestation::ima_policy_from_log(log, out, false, limits);
    if (!more) {
      auto e = std::move(more).failure();
      e.field = file;
      return e;
    }
    out = *std::move(more);
  }
  return std::optional(std::move(out));
}

void tell(session& s, const attestation::varying_pcr& v) {
  const auto what = v.form == pcr_form::exact ? " values" : " measurements";
  const auto how = v.form == pcr_form::exact ? ", each accepted"
                   : v.form == pcr_form::set ? ", accepted as a set in any order"
                                             : ", not judged";
  s.say("PCR " + std::to_string(v.pcr) + " varies: " + std::to_string(v.shared) + " of " +
        std::to_string(v.all) + what + " are on every host" + how);
}

result<base_image> make_image(session& s, const export_arguments& a) {
  CUSTOS_TRY(const auto options, options_of(a));
  CUSTOS_TRY(const auto hosts, read_hosts(a));
  std::vector<attestation::golden_boot> boots;
  for (const auto& h : hosts)
    boots.push_back({h.source, &h.log.parsed, h.values});
  CUSTOS_TRY(auto built, attestation::build_image(boots, options));
  for (const auto& v : built.varying)
    tell(s, v);
  auto& image = built.image;
  CUSTOS_TRY(image.secure_boot, secure_boot_of(a, options.bank, hosts));
  CUSTOS_TRY(image.ima, ima_of(a));
  image.audit_only = a.audit_only;
  // As the cluster will read it: what it would refuse is refused here.
  CUSTOS_CHECK(
      cluster::read_object(object_kind::base_image, image.name, cluster::write_object(image)));
  return std::move(image);
}

result<void> export_image(session& s, const export_arguments& a) {
  CUSTOS_CHECK(cluster::check_object_name(object_kind::base_image, a.name));
  CUSTOS_TRY(const auto image, make_image(s, a));
  const bool as_json = a.out == "-" || a.out.ends_with(".json");
  if (as_json && !a.sign_key.empty())
    return field_error(errc::invalid_argument, "--sign-key",
                       "expected an --out that is no JSON: only the packed form is signed");
  if (as_json) {
    CUSTOS_TRY(const auto document, document_of(image));
    if (a.out == "-") {
      s.show(document);
      return {};
    }
    CUSTOS_CHECK(runtime::write_file(a.out, as_bytes(as_indented_json(document)), 0644));
  }
  const auto file = a.out.empty() ? cluster::image_file_name(image) : a.out;
  if (!as_json) {
    std::optional<crypto::key> key;
    if (!a.sign_key.empty()) {
      CUSTOS_TRY(key, read_private_key(a.sign_key));
    }
    cluster::image_file content;
    content.image = image;
    content.created = runtime::system_clock_source()();
    content.created_by = std::string("custos ") + CUSTOS_VERSION;
    CUSTOS_TRY(const auto packed, cluster::write_image_file(content, key ? &*key : nullptr));
    CUSTOS_CHECK(runtime::write_file(file, packed, 0644));
  }
  s.say("wrote " + file + ": " + std::to_string(image.pcrs.size()) + " PCRs of bank " + a.bank +
        (a.sign_key.empty() ? "" : ", signed"));
  return {};
}

} // namespace

void add_image_export(command_set& commands, CLI::App* group) {
  auto a = std::make_shared<export_arguments>();
  auto* const c =
      commands.command(group, "export", "Makes a base image of what golden hosts booted, offline",
                       [a](session& s) { return export_image(s, *a); });
  c->add_option("--event-log", a->event_logs,
                "Binary boot log of a golden host, once for each; default: this machine's")
      ->allow_extra_args(false);
  c->add_option("--pcr-values", a->pcr_values,
                "PCR values read with that log, {\"sha256\":{\"0\":\"<hex>\"}}; for PCRs that no "
                "log explains")
      ->allow_extra_args(false);
  c->add_option("--evidence", a->evidence,
                "Evidence of a golden host as it was sent: log, values and quote")
      ->allow_extra_args(false);
  c->add_option("--bank", a->bank, "PCR bank of the digests")
      ->check(CLI::IsMember({"sha256", "sha384", "sha512"}))
      ->capture_default_str();
  c->add_option("--pcrs", a->pcrs, "PCRs that are judged")->capture_default_str();
  c->add_option("--exact", a->exact, "PCRs that are judged by their value alone");
  c->add_option("--ignore", a->ignored, "PCRs that are named, but not judged");
  c->add_option("--varying", a->varying, "PCRs that differ among the hosts: set, ignore or refuse")
      ->check(CLI::IsMember({"set", "ignore", "refuse"}))
      ->capture_default_str();
  c->add_option("--secure-boot", a->secure_boot,
                "Demanded state of Secure Boot: as the log has it, on, off or none")
      ->check(CLI::IsMember({"log", "on", "off", "none"}))
      ->capture_default_str();
  c->add_flag("--authorities", a->authorities,
              "Demand that nobody else vouches for what runs than on the golden hosts");
  c->add_option("--ima-log", a->ima_logs, "IMA list of a golden host: its files are accepted")
      ->allow_extra_args(false);
  c->add_option("--ima-signer", a->ima_signers, "PEM file: a key whose signed files are accepted")
      ->allow_extra_args(false);
  c->add_option("--ima-ignore", a->ima_ignored, "Path below which files are not judged")
      ->allow_extra_args(false);
  c->add_flag("--audit-only", a->audit_only, "The image is reported, and grants nothing");
  c->add_option("--name", a->name, "Name of the image")->required();
  c->add_option("--image-version", a->version, "Version of the image")->capture_default_str();
  c->add_option("--out", a->out,
                "File; default: NAME-VERSION.custos-image.tgz. FILE.json: plain JSON; -: JSON on "
                "standard output");
  c->add_option("--sign-key", a->sign_key, "PEM file: private key that signs the file");
}

} // namespace custos::cli
