#include "cluster/node_key.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/json/json.hpp"
#include "adapters/tpm/host_tpm.hpp"
#include "cluster/fields.hpp"
#include "cluster/node_key_detail.hpp"
#include "cluster/secret_file.hpp"

#include <algorithm>

namespace custos::cluster {

namespace fs = std::filesystem;
using namespace node_key_detail;

namespace {

constexpr std::string_view derivation = "custos-node-key-v1";
constexpr std::uint8_t sealed_file_version = 1;
constexpr std::size_t sealed_file_bytes_max = 4096;
/// In node-key.tpm: append only.
enum sealed_tag : std::uint8_t { tag_public = 1, tag_private, tag_parent_name };

crypto::secret_ptr shared(crypto::secret_bytes secret) {
  return std::make_shared<const crypto::secret_bytes>(std::move(secret));
}

error missing_option(const std::string& what) {
  return field_error(errc::not_found, std::string(field), what);
}

// ---- credential ---------------------------------------------------------------------------------

result<crypto::secret_bytes> from_credential(const record& r, const node_key_access& access) {
  if (access.credentials_dir.empty())
    return missing_option("the node key comes from the systemd credential " + r.choice.credential +
                          ", and $CREDENTIALS_DIRECTORY is not set: give it to the service with "
                          "LoadCredential= or LoadCredentialEncrypted=");
  secret_file_rules rules;
  rules.what = "credential";
  rules.field = field;
  rules.bytes_min = credential_bytes_min;
  rules.bytes_max = credential_bytes_max;
  rules.root_group_may_read = true;
  CUSTOS_TRY(const auto secret,
             read_secret_file(access.credentials_dir / r.choice.credential, rules));
  return crypto::hkdf_sha256(secret.reveal_secret(), r.salt, as_bytes(derivation), node_key_bytes);
}

// ---- passphrase ---------------------------------------------------------------------------------

result<crypto::secret_bytes> read_passphrase(const node_key_access& access, std::size_t bytes_min) {
  if (access.passphrase_file.empty())
    return missing_option("the node key comes from a passphrase: give the file with it, "
                          "--node-key-passphrase-file (to rotate-node-key the present one by "
                          "--present-passphrase-file)");
  secret_file_rules rules;
  rules.what = "passphrase";
  rules.field = field;
  rules.bytes_max = passphrase_bytes_max + 2;
  rules.root_group_may_read = true; // it may be a credential
  rules.may_be_stream = true;
  CUSTOS_TRY(auto text, read_secret_file(access.passphrase_file, rules));
  const auto is_break = [](std::uint8_t c) { return c == '\n' || c == '\r'; };
  auto size = text.size();
  for (int i = 0; i < 2 && size > 0 && is_break(text.reveal_secret()[size - 1]); ++i)
    --size;
  text.shrink(size);
  if (size < bytes_min || size > passphrase_bytes_max)
    return field_error(errc::invalid_argument, std::string(field),
                       "expected a passphrase of " + std::to_string(bytes_min) + " to " +
                           std::to_string(passphrase_bytes_max) + " bytes");
  return text;
}

result<crypto::secret_bytes> from_passphrase(const record& r, const node_key_access& access,
                                             std::size_t bytes_min) {
  CUSTOS_TRY(const auto text, read_passphrase(access, bytes_min));
  return crypto::scrypt(text.reveal_secret(), r.salt, r.cost.n, r.cost.r, r.cost.p, node_key_bytes);
}

// ---- tpm ----------------------------------------------------------------------------------------

/// The TPM's own words, and what to do.
error about_tpm(error e, const record& r) {
  if (e.code == errc::forbidden)
    e.message += ": " + text_of(r.choice) +
                 ". If the machine was changed on purpose, boot it as it was and change the node "
                 "key, or let the node leave and join again";
  else if (e.code == errc::corrupted)
    e.message += ". The node key is lost: let the node leave and join again";
  e.message = "node key: " + e.message;
  e.field = field;
  return e;
}

template <class T>
result<T> with_tpm(result<T> r, const record& of) {
  if (r)
    return r;
  return about_tpm(std::move(r).failure(), of);
}

result<void> seal_by_tpm(const fs::path& folder, const record& r, const node_key_access& access,
                         const crypto::secret_bytes& key) {
  CUSTOS_TRY(const auto tpm, with_tpm(tpm::host_tpm::open(access.tcti), r));
  CUSTOS_TRY(const auto sealed, with_tpm(tpm->seal(key, r.choice.pcrs), r));
  // Found out now, not at the next start.
  CUSTOS_TRY(const auto opened, with_tpm(tpm->unseal(sealed, r.choice.pcrs), r));
  if (!crypto::equal(opened.reveal_secret(), key.reveal_secret()))
    return field_error(errc::tpm_failure, std::string(field),
                       "the TPM gave back another secret than it sealed");
  const auto octets = write_fields(sealed_file_version, {{tag_public, sealed.public_area},
                                                         {tag_private, sealed.private_area},
                                                         {tag_parent_name, sealed.parent_name}});
  return create_private_file(folder / sealed_file, octets.reveal_secret(), std::string(field));
}

result<tpm::sealed_object> read_sealed_file(const fs::path& file) {
  secret_file_rules rules;
  rules.what = "sealed node key";
  rules.field = field;
  rules.bytes_max = sealed_file_bytes_max;
  CUSTOS_TRY(const auto octets, read_secret_file(file, rules));
  const auto fields = read_fields(sealed_file_version, octets.reveal_secret());
  if (!fields)
    return field_error(errc::corrupted, std::string(field),
                       file.string() + ": " + fields.failure().message);
  tpm::sealed_object out;
  for (const auto& [tag, part] :
       {std::pair{tag_public, &out.public_area}, std::pair{tag_private, &out.private_area},
        std::pair{tag_parent_name, &out.parent_name}}) {
    const auto value = one_field(*fields, tag);
    if (!value)
      return field_error(errc::corrupted, std::string(field),
                         file.string() + ": " + value.failure().message);
    *part = to_bytes(*value);
  }
  return out;
}

result<crypto::secret_bytes> from_tpm(const fs::path& folder, const record& r,
                                      const node_key_access& access) {
  CUSTOS_TRY(const auto sealed, read_sealed_file(folder / sealed_file));
  CUSTOS_TRY(const auto tpm, with_tpm(tpm::host_tpm::open(access.tcti), r));
  auto key = tpm->unseal(sealed, r.choice.pcrs);
  // What does not even unmarshal was changed, too.
  if (!key && key.failure().code == errc::malformed)
    key.failure().code = errc::corrupted;
  if (key && key->size() != node_key_bytes)
    return field_error(errc::corrupted, std::string(field),
                       "the TPM unsealed something that is no node key");
  return with_tpm(std::move(key), r);
}

// ---- all of them --------------------------------------------------------------------------------

result<crypto::secret_bytes> make_material(const fs::path& folder, const record& r,
                                           const node_key_access& access) {
  switch (r.choice.source) {
  case node_key_source::file:
    return create_node_key_file(folder / key_file);
  case node_key_source::credential:
    return from_credential(r, access);
  case node_key_source::passphrase:
    return from_passphrase(r, access, passphrase_bytes_min);
  case node_key_source::tpm: {
    auto key = crypto::random_secret(node_key_bytes);
    CUSTOS_CHECK(seal_by_tpm(folder, r, access, key));
    return key;
  }
  }
  return field_error(errc::unsupported, std::string(field), "expected a source of the node key");
}

} // namespace

result<node_key> make_node_key(const fs::path& folder, const node_key_request& request) {
  const auto r = new_record(request.choice);
  CUSTOS_TRY(auto key, make_material(folder, r, request.access));
  CUSTOS_CHECK(
      create_private_file(folder / record_file, as_bytes(write_record(r)), std::string(field)));
  CUSTOS_CHECK(sync_folder(folder));
  return node_key{r.id, r.choice, shared(std::move(key))};
}

result<node_key> read_node_key(const fs::path& folder, const node_key_access& access) {
  CUSTOS_TRY(const auto r, read_record(folder));
  const auto read = [&]() -> result<crypto::secret_bytes> {
    switch (r.choice.source) {
    case node_key_source::credential:
      return from_credential(r, access);
    case node_key_source::passphrase:
      return from_passphrase(r, access, 1);
    case node_key_source::tpm:
      return from_tpm(folder, r, access);
    case node_key_source::file:
      break;
    }
    return read_node_key_file(folder / key_file);
  };
  CUSTOS_TRY(auto key, read());
  return node_key{r.id, r.choice, shared(std::move(key))};
}

error wrong_node_key(const node_key_choice& choice) {
  std::string why;
  switch (choice.source) {
  case node_key_source::file:
    why = "node.key belongs to another node";
    break;
  case node_key_source::credential:
    why = "the credential " + choice.credential + " is not the one the node was made with";
    break;
  case node_key_source::passphrase:
    why = "the passphrase is wrong";
    break;
  case node_key_source::tpm:
    why = "node-key.tpm belongs to another node";
    break;
  }
  return field_error(errc::crypto_failure, std::string(field),
                     "the data keys do not open: " + why + ", or what is stored was changed");
}

result<bytes> wrap_secret(const crypto::secret_bytes& node_key,
                          const crypto::secret_bytes& secret) {
  return crypto::aes_kwp_wrap(node_key.reveal_secret(), secret.reveal_secret());
}

result<crypto::secret_bytes> unwrap_secret(const crypto::secret_bytes& node_key,
                                           byte_view wrapped) {
  auto out = crypto::aes_kwp_unwrap(node_key.reveal_secret(), wrapped);
  if (!out)
    return make_error(errc::crypto_failure, "wrapped under another node key, or changed");
  return out;
}

result<crypto::secret_bytes> create_node_key_file(const fs::path& file) {
  auto key = crypto::random_secret(node_key_bytes);
  CUSTOS_CHECK(create_private_file(file, key.reveal_secret(), std::string(field)));
  return key;
}

result<crypto::secret_bytes> read_node_key_file(const fs::path& file) {
  secret_file_rules rules;
  rules.what = "node key";
  rules.field = field;
  rules.bytes_min = rules.bytes_max = node_key_bytes;
  auto key = read_secret_file(file, rules);
  if (!key && key.failure().code == errc::not_found)
    key.failure().message += "; without it the secrets of this node cannot be opened: put it back, "
                             "or let the node join again";
  return key;
}

} // namespace custos::cluster
