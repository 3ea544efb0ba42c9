#include "actors/attestation/ima_index.hpp"

#include "adapters/ima/signature.hpp"

#include <algorithm>
#include <array>

namespace custos::attestation {

namespace {

/// "/var/log/" means what "/var/log" means.
std::string_view without_slash(std::string_view prefix) {
  while (prefix.ends_with('/'))
    prefix.remove_suffix(1);
  return prefix;
}

/// Parts with their lengths, so that no two policies are the same text.
class fingerprinter {
public:
  void count(std::size_t n) {
    for (std::size_t i = 0; i < 8; ++i)
      text_.push_back(static_cast<std::uint8_t>(n >> (8 * i)));
  }
  void add(byte_view part) {
    count(part.size());
    text_.insert(text_.end(), part.begin(), part.end());
  }
  void add(const std::vector<ima_file>& files) {
    count(files.size());
    for (const auto& f : files) {
      add(as_bytes(f.path));
      count(f.digests.size());
      for (const auto& d : f.digests)
        add(d);
    }
  }
  [[nodiscard]] crypto::sha256_digest digest() const { return crypto::sha256(text_); }

private:
  bytes text_;
};

crypto::sha256_digest fingerprint_of(const ima_policy& policy) {
  fingerprinter f;
  f.add(policy.files);
  f.add(policy.buffers);
  f.count(policy.signers.size());
  for (const auto& s : policy.signers)
    f.add(s);
  f.count(policy.ignored.size());
  for (const auto& i : policy.ignored)
    f.add(as_bytes(i));
  return f.digest();
}

/// Every component is a name: what the kernel resolves leaves nothing else.
bool is_resolved(std::string_view path) {
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == "..")
      return false;
    path.remove_prefix(component.size());
  }
  return true;
}

} // namespace

result<ima_index> ima_index::build(const ima_policy& policy) {
  ima_index out;
  out.files_.reserve(policy.files.size());
  for (const auto& f : policy.files)
    out.files_.emplace(f.path, &f);
  for (const auto& b : policy.buffers)
    out.buffers_.emplace(b.path, &b);
  for (const auto& i : policy.ignored)
    if (const auto prefix = without_slash(i); !prefix.empty())
      out.ignored_.insert(prefix);
  for (std::size_t i = 0; i < policy.signers.size(); ++i) {
    const auto key = crypto::public_key_from_spki(policy.signers[i]);
    if (!key || key->type() == crypto::key_type::other)
      return field_error(errc::invalid_argument, "/ima/signers/" + std::to_string(i),
                         "expected the SubjectPublicKeyInfo of an RSA, P-256 or P-384 key");
    out.signers_.emplace(ima::key_id_of(*key), *key);
  }
  out.fingerprint_ = fingerprint_of(policy);
  return out;
}

bool ima_index::lists(const digests_by_name& files, std::string_view name, byte_view digest) {
  const auto [first, last] = files.equal_range(name);
  return std::any_of(first, last, [&](const auto& f) {
    return std::any_of(f.second->digests.begin(), f.second->digests.end(), [&](const bytes& d) {
      return std::equal(d.begin(), d.end(), digest.begin(), digest.end());
    });
  });
}

bool ima_index::ignores_file(std::string_view path) const {
  if (ignored_.empty() || !path.starts_with('/') || !is_resolved(path))
    return false;
  for (auto end = path.find('/', 1);; end = path.find('/', end + 1)) {
    if (ignored_.contains(path.substr(0, end)))
      return true;
    if (end == std::string_view::npos)
      return false;
  }
}

bool ima_index::signed_by(std::uint32_t key_id, crypto::hash_alg alg, byte_view digest,
                          byte_view signature) const {
  const auto [first, last] = signers_.equal_range(key_id);
  return std::any_of(first, last, [&](const auto& s) {
    return crypto::verify_digest(s.second, alg, digest, signature);
  });
}

} // namespace custos::attestation
