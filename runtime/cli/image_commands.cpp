// custos image: base images, from the boot log of a golden host to what is approved.

#include "actors/attestation/image_match.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"
#include "runtime/cli/render.hpp"
#include "runtime/cli/session.hpp"
#include "runtime/files.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace custos::cli {

namespace bj = boost::json;

namespace {

constexpr std::size_t log_bytes_max = 2U << 20U;
const std::string default_pcr_list = "0-9,14";

result<std::string> base_images(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + cluster +
         "/attestation/os/linux/base-images";
}

/// "0-9,14" as a mask.
result<std::uint32_t> pcr_mask(std::string_view text) {
  const auto bad =
      field_error(errc::invalid_argument, "--pcrs", "expected numbers from 0 to 23, as in 0-9,14");
  std::uint32_t mask = 0;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    const auto dash = part.find('-');
    const auto number = [](std::string_view digits) -> std::optional<std::uint32_t> {
      std::uint32_t out = 0;
      const auto r = std::from_chars(digits.data(), digits.data() + digits.size(), out);
      if (r.ec != std::errc{} || r.ptr != digits.data() + digits.size() || out > 23)
        return std::nullopt;
      return out;
    };
    const auto first = number(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : number(part.substr(dash + 1));
    if (!first || !last || *first > *last)
      return bad;
    for (auto pcr = *first; pcr <= *last; ++pcr)
      mask |= 1U << pcr;
  }
  if (mask == 0)
    return bad;
  return mask;
}

struct export_arguments {
  std::string event_log = "/sys/kernel/security/tpm0/binary_bios_measurements";
  std::string bank = "sha256";
  std::string pcrs = default_pcr_list;
  std::string name;
  std::string version = "1";
  std::string out;
};

result<void> export_image(session& s, const export_arguments& a) {
  CUSTOS_CHECK(cluster::check_object_name(object_kind::base_image, a.name));
  CUSTOS_TRY(const auto mask, pcr_mask(a.pcrs));
  CUSTOS_TRY(const auto log, runtime::read_text_file(a.event_log, log_bytes_max));
  auto parsed = eventlog::parse(as_bytes(log));
  if (!parsed)
    return field_error(parsed.failure().code, a.event_log, parsed.failure().message);
  const auto bank = a.bank == "sha384"   ? crypto::hash_alg::sha384
                    : a.bank == "sha512" ? crypto::hash_alg::sha512
                                         : crypto::hash_alg::sha256;
  auto image = attestation::image_from_log(*parsed, bank, mask, a.name, a.version);
  if (!image)
    return field_error(image.failure().code, a.event_log, image.failure().message);
  CUSTOS_TRY(auto document, json::parse_any(cluster::write_object(*image)));
  auto& o = document.as_object();
  o["name"] = a.name;
  const auto text = as_indented_json(document);
  if (a.out.empty()) {
    s.show(document);
    return {};
  }
  CUSTOS_CHECK(runtime::write_file(a.out, as_bytes(text), 0644));
  s.say("wrote " + a.out + ": " + std::to_string(image->pcrs.size()) + " PCRs of bank " + a.bank);
  return {};
}

result<void> import_image(session& s, const std::string& file, const std::string& name) {
  CUSTOS_TRY(const auto text, runtime::read_text_file(file, cluster::config_document_bytes_max));
  auto document = json::parse_any(text);
  if (!document || !document->is_object())
    return field_error(errc::malformed, file,
                       document ? "expected a JSON object" : document.failure().message);
  auto& o = document->get_object();
  if (!name.empty())
    o["name"] = name;
  const auto* const named = o.if_contains("name");
  if (named == nullptr || !named->is_string())
    return field_error(errc::invalid_argument, file, "expected a member \"name\", or --name");
  // Said here, where the file is, rather than by a node far away.
  auto judged = o;
  judged.erase("name");
  auto read = cluster::read_object(object_kind::base_image, std::string_view(named->get_string()),
                                   bj::serialize(judged));
  if (!read)
    return field_error(read.failure().code, file + read.failure().field, read.failure().message);
  CUSTOS_TRY(const auto path, base_images(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path, *document));
  s.show(answer);
  return {};
}

void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method) {
  auto image = std::make_shared<std::string>();
  commands
      .command(group, name, description,
               [image, method](session& s) -> result<void> {
                 CUSTOS_TRY(const auto path, base_images(s));
                 CUSTOS_TRY(const auto answer, s.ask(method, path + "/" + segment(*image)));
                 s.show(answer);
                 return {};
               })
      ->add_option("name", *image, "Its name")
      ->required();
}

} // namespace

void add_image_commands(command_set& commands) {
  auto* const group = commands.group("image", "Base images: the states of boot that are accepted");
  auto e = std::make_shared<export_arguments>();
  auto* c = commands.command(group, "export",
                             "Makes a base image from the boot log of a golden host, offline",
                             [e](session& s) { return export_image(s, *e); });
  c->add_option("--event-log", e->event_log, "Binary boot log")->capture_default_str();
  c->add_option("--bank", e->bank, "PCR bank of the digests")
      ->check(CLI::IsMember({"sha256", "sha384", "sha512"}))
      ->capture_default_str();
  c->add_option("--pcrs", e->pcrs, "PCRs that are judged")->capture_default_str();
  c->add_option("--name", e->name, "Name of the image")->required();
  c->add_option("--image-version", e->version, "Version of the image")->capture_default_str();
  c->add_option("--out", e->out, "File; default: standard output");

  struct import_arguments {
    std::string file, name;
  };
  auto i = std::make_shared<import_arguments>();
  c = commands.command(group, "import", "Approves a base image",
                       [i](session& s) { return import_image(s, i->file, i->name); });
  c->add_option("file", i->file, "File that `export` wrote")->required();
  c->add_option("--name", i->name, "Another name than the file says");

  commands.command(group, "list", "All base images", [](session& s) -> result<void> {
    CUSTOS_TRY(const auto path, base_images(s));
    CUSTOS_TRY(const auto answer, s.ask("GET", path));
    s.show(answer);
    return {};
  });
  add_single(commands, group, "show", "One base image", "GET");
  add_single(commands, group, "delete", "Approves it no longer", "DELETE");
}

} // namespace custos::cli
