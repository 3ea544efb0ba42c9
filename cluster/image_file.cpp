#include "cluster/image_file.hpp"

#include "adapters/archive/archive.hpp"
#include "adapters/jose/detached.hpp"
#include "adapters/json/json.hpp"
#include "cluster/config_codec.hpp"

#include <algorithm>
#include <boost/json.hpp>
#include <limits>

namespace custos::cluster {

namespace bj = boost::json;

namespace {

constexpr std::string_view format_name = "custos-base-image";
constexpr std::string_view document_name = "image.json";
constexpr std::string_view signature_name = "image.json.jws";
constexpr std::string_view signature_type = "custos-base-image+jws";
constexpr std::size_t created_by_bytes_max = 128;
constexpr std::size_t name_bytes_max = 128;
constexpr std::size_t json_bytes_max = config_document_bytes_max;

bool is_packed(byte_view content) {
  return content.size() >= 2 && content[0] == 0x1F && content[1] == 0x8B;
}

error not_signed(std::string message) {
  auto e = field_error(errc::token_invalid, std::string(signature_name), std::move(message));
  e.check = "image-signature";
  return e;
}

/// The image's own document, with its name in it.
result<base_image> read_document(json::object& o) {
  CUSTOS_TRY(const auto name, o.string("name", name_bytes_max));
  CUSTOS_CHECK(check_object_name(object_kind::base_image, name));
  auto read = read_object(object_kind::base_image, name, o.text());
  if (!read) {
    auto e = std::move(read).failure();
    e.field = o.path() + e.field;
    return e;
  }
  return std::get<base_image>(*std::move(read));
}

result<image_file> read_json(std::string_view text) {
  CUSTOS_TRY(auto o, json::parse_object(text, json_bytes_max));
  image_file out;
  if (!o.has("format")) { // a bare document
    CUSTOS_TRY(out.image, read_document(o));
    return out;
  }
  CUSTOS_TRY(const auto format, o.string("format", format_name.size()));
  if (format != format_name)
    return field_error(errc::unsupported, "/format",
                       "expected \"" + std::string(format_name) + "\"");
  CUSTOS_TRY(const auto version,
             o.integer("format_version", 1, std::numeric_limits<std::int32_t>::max()));
  if (version != image_format_version)
    return field_error(errc::unsupported, "/format_version",
                       "expected version 1; a later version of Custos wrote this file");
  CUSTOS_TRY(const auto created,
             o.optional_integer("created", 0, std::numeric_limits<std::int64_t>::max()));
  out.created = created.value_or(0);
  CUSTOS_TRY(auto by, o.optional_string("created_by", created_by_bytes_max));
  out.created_by = std::move(by).value_or("");
  CUSTOS_TRY(auto document, o.child("image"));
  CUSTOS_TRY(out.image, read_document(document));
  CUSTOS_CHECK(o.finish());
  return out;
}

bj::object json_of_file(const image_file& file) {
  auto document = bj::parse(write_object(file.image)).as_object();
  document["name"] = file.image.name;
  bj::object out{{"format", format_name}, {"format_version", image_format_version}};
  if (file.created != 0)
    out["created"] = file.created;
  if (!file.created_by.empty())
    out["created_by"] = file.created_by;
  out["image"] = std::move(document);
  return out;
}

} // namespace

std::string write_image_json(const image_file& file) {
  return json::canonical(json_of_file(file));
}

result<bytes> write_image_file(const image_file& file, const crypto::key* sign_key) {
  const auto text = write_image_json(file);
  if (text.size() > json_bytes_max)
    return make_error(errc::too_large, "the image has more than " + std::to_string(json_bytes_max) +
                                           " bytes of JSON");
  std::vector<archive::entry> entries{{std::string(document_name), to_bytes(text)}};
  if (sign_key != nullptr) {
    CUSTOS_TRY(const auto jws, jose::sign_detached(*sign_key, signature_type, as_bytes(text)));
    entries.push_back({std::string(signature_name), to_bytes(jws)});
  }
  return archive::write_tgz(entries);
}

result<image_file> read_image_file(byte_view content, std::span<const crypto::key> trusted) {
  if (content.size() > image_file_bytes_max)
    return make_error(errc::too_large, "expected a file of at most " +
                                           std::to_string(image_file_bytes_max) + " bytes");
  if (!is_packed(content)) {
    if (!trusted.empty())
      return not_signed("expected an image file that is signed; plain JSON is not");
    return read_json(as_text(content));
  }
  CUSTOS_TRY(const auto entries,
             archive::read_tgz(content, {image_file_bytes_max, 2 * json_bytes_max, 2}));
  const archive::entry* document = nullptr;
  const archive::entry* signature = nullptr;
  for (const auto& e : entries) {
    if (e.name != document_name && e.name != signature_name)
      return make_error(errc::malformed, e.name + ": expected image.json and image.json.jws only");
    (e.name == document_name ? document : signature) = &e;
  }
  if (document == nullptr)
    return make_error(errc::malformed, "expected image.json in the archive");
  std::optional<crypto::key> signer;
  if (!trusted.empty()) {
    if (signature == nullptr)
      return not_signed("expected an image file that is signed");
    CUSTOS_TRY(signer, jose::verify_detached(as_text(signature->content), document->content,
                                             trusted, signature_type));
  }
  CUSTOS_TRY(auto out, read_json(as_text(document->content)));
  out.signer = std::move(signer);
  return out;
}

std::string image_file_name(const base_image& image) {
  auto out = image.name + "-" + image.version;
  std::replace_if(
      out.begin(), out.end(),
      [](char c) {
        return !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '-');
      },
      '_');
  return out + std::string(image_file_suffix);
}

} // namespace custos::cluster
