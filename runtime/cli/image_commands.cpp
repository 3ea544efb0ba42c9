// custos image: base images, from the boot logs of golden hosts to what is approved.

#include "runtime/cli/image_commands.hpp"

#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"
#include "runtime/cli/inputs.hpp"

#include <boost/json.hpp>

namespace custos::cli {

namespace bj = boost::json;

result<std::string> attestation_path(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/custos/v1/trust-authority-clusters/" + segment(cluster) + "/attestation";
}

result<std::string> base_images_path(session& s) {
  CUSTOS_TRY(const auto cluster, s.cluster(cluster_kind::trust_authority));
  return "/api/vcenter/trusted-infrastructure/trust-authority-clusters/" + segment(cluster) +
         "/attestation/os/linux/base-images";
}

result<cluster::image_file> open_image_file(const std::string& file,
                                            const std::vector<std::string>& trusted_keys) {
  std::vector<crypto::key> trusted;
  for (const auto& one : trusted_keys) {
    CUSTOS_TRY(auto key, read_public_key(one));
    trusted.push_back(std::move(key));
  }
  CUSTOS_TRY(const auto content, read_octets(file, cluster::image_file_bytes_max));
  auto read = cluster::read_image_file(content, trusted);
  if (!read) {
    auto e = std::move(read).failure();
    e.field = file + (e.field.empty() || e.field.front() == '/' ? "" : ": ") + e.field;
    return e;
  }
  return read;
}

result<bj::object> document_of(const base_image& image) {
  CUSTOS_TRY(auto document, json::parse_any(cluster::write_object(image)));
  bj::object out{{"name", image.name}};
  for (auto& member : document.as_object())
    out[member.key()] = std::move(member.value());
  return out;
}

namespace {

struct import_arguments {
  std::string file, name;
  std::vector<std::string> trusted_keys;
};

/// Judged here, where the file is, rather than by a node far away.
result<void> import_image(session& s, const import_arguments& a) {
  CUSTOS_TRY(auto file, open_image_file(a.file, a.trusted_keys));
  if (!a.name.empty()) {
    CUSTOS_CHECK(cluster::check_object_name(object_kind::base_image, a.name));
    file.image.name = a.name;
  }
  CUSTOS_TRY(const auto document, document_of(file.image));
  CUSTOS_TRY(const auto path, base_images_path(s));
  CUSTOS_TRY(const auto answer, s.ask("POST", path, document));
  s.show(answer);
  return {};
}

/// The PCRs in one word, so that the list is a table.
bj::value as_table(const bj::value& answer) {
  if (!answer.is_array())
    return answer;
  bj::array rows;
  for (const auto& item : answer.get_array()) {
    auto row = item.is_object() ? item.get_object() : bj::object{};
    if (auto* const pcrs = row.if_contains("pcrs"); pcrs != nullptr && pcrs->is_array()) {
      std::uint32_t mask = 0;
      for (const auto& pcr : pcrs->get_array())
        if (pcr.is_int64() && pcr.get_int64() >= 0 && pcr.get_int64() < eventlog::pcrs_max)
          mask |= 1U << pcr.get_int64();
      *pcrs = pcr_text(mask);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

result<void> list_images(session& s) {
  CUSTOS_TRY(const auto path, base_images_path(s));
  CUSTOS_TRY(const auto answer, s.ask("GET", path));
  s.show(s.options().output == "json" ? answer : as_table(answer));
  return {};
}

struct audit_arguments {
  std::string name, state;
};

result<void> set_audit(session& s, const audit_arguments& a) {
  CUSTOS_TRY(const auto path, base_images_path(s));
  CUSTOS_TRY(const auto answer, s.ask("PATCH", path + "/" + segment(a.name),
                                      bj::object{{"audit_only", a.state == "on"}}));
  s.show(answer);
  return {};
}

void add_single(command_set& commands, CLI::App* group, const std::string& name,
                const std::string& description, const std::string& method) {
  auto image = std::make_shared<std::string>();
  commands
      .command(group, name, description,
               [image, method](session& s) -> result<void> {
                 CUSTOS_TRY(const auto path, base_images_path(s));
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
  add_image_export(commands, group);

  auto i = std::make_shared<import_arguments>();
  auto* c = commands.command(group, "import", "Approves a base image",
                             [i](session& s) { return import_image(s, *i); });
  c->add_option("file", i->file, "File that `export` wrote")->required();
  c->add_option("--name", i->name, "Another name than the file says");
  c->add_option("--trusted-key", i->trusted_keys,
                "PEM file: a public key or certificate; the file must be signed by one of them")
      ->allow_extra_args(false);

  commands.command(group, "list", "All base images", list_images);
  add_single(commands, group, "show", "One base image", "GET");
  add_image_questions(commands, group);

  auto a = std::make_shared<audit_arguments>();
  c = commands.command(group, "audit", "Reports what an image says instead of enforcing it",
                       [a](session& s) { return set_audit(s, *a); });
  c->add_option("name", a->name, "Its name")->required();
  c->add_option("state", a->state, "on: reported only; off: enforced")
      ->required()
      ->check(CLI::IsMember({"on", "off"}));
  add_single(commands, group, "delete", "Approves it no longer", "DELETE");
}

} // namespace custos::cli
