#pragma once
// Looks for secrets in all files of a folder, in every form that anybody would write them in.

#include "adapters/crypto/crypto.hpp"
#include "cluster/bootstrap.hpp"
#include "cluster/node_store.hpp"
#include "tests/unit/adapters/rocksdb/temporary_directory.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

namespace custos::cluster::test {

struct named_secret {
  std::string name;
  bytes octets;
};

/// The base64 of `secret` wherever it stands in a longer text: three alignments, without the
/// characters that its neighbours have a part in.
inline std::vector<std::string> base64_cores(byte_view secret, std::string (*encode)(byte_view)) {
  std::vector<std::string> out;
  for (std::size_t before = 0; before < 3; ++before) {
    bytes padded(before, 0);
    padded.insert(padded.end(), secret.begin(), secret.end());
    padded.resize(padded.size() / 3 * 3); // whole groups only
    const auto text = encode(padded);
    const auto skip = before == 0 ? 0U : 4U;
    out.push_back(text.substr(skip));
  }
  return out;
}

inline std::vector<std::string> forms_of(const bytes& secret) {
  std::vector<std::string> out{std::string(as_text(secret)), crypto::hex(secret)};
  auto upper = crypto::hex(secret);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  out.push_back(std::move(upper));
  for (auto* const encode : {&crypto::base64, &crypto::base64url})
    for (auto& core : base64_cores(secret, encode))
      out.push_back(std::move(core));
  return out;
}

/// A P-256 key: the private scalar itself, and the key as PKCS#8 in DER and PEM. In the DER the
/// scalar begins at octet 36 (RFC 5958, RFC 5915); in PEM a line of the base64 is enough.
inline void add_key(std::vector<named_secret>& out, const std::string& name,
                    const crypto::key& key) {
  const auto der = key.pkcs8_der();
  out.push_back({name, to_bytes(der.reveal_secret().subspan(36, 32))});
  out.push_back({name + " (DER)", to_bytes(der.reveal_secret())});
  const auto pem = private_key_pem(key);
  const auto text = as_text(pem.reveal_secret());
  // The first line holds what all keys have and the first octets of the scalar; the second is ours.
  const auto first = text.find('\n') + 1;
  const auto second = text.find('\n', first) + 1;
  out.push_back({name + " (PEM)", to_bytes(text.substr(second, 64))});
}

/// Everything a node knows that nobody else may.
inline std::vector<named_secret> secrets_of(const node_store& node) {
  std::vector<named_secret> out;
  const auto& keys = *node.keys();
  for (const auto& k : node.seals()->ring().keys)
    out.push_back({"data key " + text_of(k.id), to_bytes(k.key->reveal_secret())});
  out.push_back({"challenge key", to_bytes(keys.challenge_key->reveal_secret())});
  add_key(out, "CA key", keys.ca_key);
  add_key(out, "token key", keys.token_key);
  add_key(out, "attestation key CA's key", keys.ak_ca_key);
  add_key(out, "TLS key", node.identity().tls_key);
  return out;
}

/// "name in file" for each secret found in a file below, whatever its name.
inline std::set<std::string> found_secrets(const std::filesystem::path& directory,
                                           const std::vector<named_secret>& secrets) {
  std::set<std::string> out;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file())
      continue;
    const auto content = custos::test::file_content(entry.path());
    for (const auto& secret : secrets)
      for (const auto& form : forms_of(secret.octets))
        if (content.find(form) != std::string::npos)
          out.insert(secret.name + " in " + entry.path().filename().string());
  }
  return out;
}

} // namespace custos::cluster::test
