#pragma once
// Lists as a kernel would show them, and what they do to PCR 10, computed without the code under
// test: from the template data, with plain hashing.

#include "adapters/ima/writer.hpp"
#include "tests/unit/test_data.hpp"

#include <algorithm>

namespace custos::test {

/// Extends PCR 10 as a kernel does, while it logs.
class kernel {
public:
  explicit kernel(crypto::hash_alg bank = crypto::hash_alg::sha256, bool padded = false)
      : bank_(bank), padded_(padded), value_(crypto::digest_size(bank), 0) {}

  ima::writer log;

  /// Template data as the writer gives it; empty: a violation.
  void extend(const bytes& data) {
    const auto size = crypto::digest_size(bank_);
    bytes measured;
    if (data.empty())
      measured.assign(padded_ ? ima::template_hash_bytes : size, 0xFF);
    else
      measured = crypto::digest(padded_ ? crypto::hash_alg::sha1 : bank_, {data});
    measured.resize(size, 0);
    value_ = crypto::digest(bank_, {value_, measured});
  }
  void file(std::string_view path, byte_view content) {
    extend(log.add_ng(path, crypto::hash_alg::sha256,
                      crypto::digest(crypto::hash_alg::sha256, {content})));
  }
  void boot_aggregate(byte_view digest) {
    extend(log.add_ng(ima::boot_aggregate_name, crypto::hash_alg::sha256, digest));
  }

  [[nodiscard]] crypto::hash_alg bank() const { return bank_; }
  [[nodiscard]] const bytes& value() const { return value_; }

private:
  crypto::hash_alg bank_;
  bool padded_;
  bytes value_;
};

/// One entry of every template.
inline ima::writer every_template() {
  using crypto::hash_alg;
  ima::writer w;
  const bytes file256 = crypto::digest(hash_alg::sha256, {as_bytes("content")});
  w.add_ng(ima::boot_aggregate_name, hash_alg::sha256, bytes(32, 7));
  w.add_ng("/usr/bin/a file", hash_alg::sha512, bytes(64, 1));
  w.add_sig("/usr/bin/unsigned", hash_alg::sha256, file256, {});
  w.add_sig("/usr/bin/signed", hash_alg::sha256, file256,
            ima::make_signature(hash_alg::sha256, 0x01020304, bytes(70, 0x30)));
  w.add_buf("kexec-cmdline", hash_alg::sha256, as_bytes("quiet splash"));
  w.add_ngv2("/usr/bin/plain", "ima", hash_alg::sha256, file256);
  w.add_ngv2("/usr/bin/verity", "verity", hash_alg::sha256, file256);
  w.add_ima("/old", bytes(20, 9));
  w.add_violation("/var/log/messages", hash_alg::sha256);
  return w;
}

inline const std::array<std::string, 3> recorded_ima_logs{"attestation/ima/ima-log-sha1",
                                                          "attestation/ima/ima-log-sha256",
                                                          "attestation/ima/ima-log-sha512"};

} // namespace custos::test
