#include "adapters/ima/writer.hpp"

#include <algorithm>
#include <cassert>

namespace custos::ima {

namespace {

void put_u32(bytes& out, std::size_t value) {
  for (std::size_t i = 0; i < 4; ++i)
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append(bytes& out, byte_view octets) {
  out.insert(out.end(), octets.begin(), octets.end());
}

/// The number of the kernel's enum hash_algo.
std::uint8_t number_of(crypto::hash_alg alg) {
  switch (alg) {
  case crypto::hash_alg::sha1:
    return 2;
  case crypto::hash_alg::sha256:
    return 4;
  case crypto::hash_alg::sha384:
    return 5;
  case crypto::hash_alg::sha512:
    return 6;
  }
  return 4;
}

bytes digest_octets(std::string_view prefix, byte_view digest) {
  bytes out = to_bytes(prefix);
  out.push_back(0);
  append(out, digest);
  return out;
}

bytes path_octets(std::string_view path) {
  bytes out = to_bytes(path);
  // As the kernel does it, so that lines can be taken apart again.
  std::replace(out.begin(), out.end(), std::uint8_t{' '}, std::uint8_t{'_'});
  out.push_back(0);
  return out;
}

std::string path_text(std::string_view path) {
  std::string out(path);
  std::replace(out.begin(), out.end(), ' ', '_');
  return out;
}

std::string prefix_of(crypto::hash_alg alg) {
  return std::string(crypto::to_string(alg)) + ":";
}

} // namespace

void writer::start(std::string_view name, byte_view hash) {
  put_u32(binary_, measured_pcr);
  append(binary_, hash);
  put_u32(binary_, name.size());
  append(binary_, as_bytes(name));
  ascii_ += std::to_string(measured_pcr) + " " + crypto::hex(hash) + " " + std::string(name);
}

bytes writer::add(std::string_view name, const std::vector<field>& parts, bool violation) {
  bytes data;
  std::string text;
  for (const auto& f : parts) {
    put_u32(data, f.octets.size());
    append(data, f.octets);
    text += " " + f.text;
  }
  start(name,
        violation ? bytes(template_hash_bytes, 0) : crypto::digest(crypto::hash_alg::sha1, {data}));
  put_u32(binary_, data.size());
  append(binary_, data);
  ascii_ += text + "\n";
  return violation ? bytes() : data;
}

bytes writer::add_ng(std::string_view path, crypto::hash_alg alg, byte_view digest) {
  const auto prefix = prefix_of(alg);
  return add("ima-ng",
             {{digest_octets(prefix, digest), prefix + crypto::hex(digest)},
              {path_octets(path), path_text(path)}},
             false);
}

bytes writer::add_sig(std::string_view path, crypto::hash_alg alg, byte_view digest,
                      byte_view signature) {
  const auto prefix = prefix_of(alg);
  return add("ima-sig",
             {{digest_octets(prefix, digest), prefix + crypto::hex(digest)},
              {path_octets(path), path_text(path)},
              {to_bytes(signature), crypto::hex(signature)}},
             false);
}

bytes writer::add_buf(std::string_view name, crypto::hash_alg alg, byte_view buffer) {
  const auto prefix = prefix_of(alg);
  const auto digest = crypto::digest(alg, {buffer});
  return add("ima-buf",
             {{digest_octets(prefix, digest), prefix + crypto::hex(digest)},
              {path_octets(name), path_text(name)},
              {to_bytes(buffer), crypto::hex(buffer)}},
             false);
}

bytes writer::add_ngv2(std::string_view path, std::string_view type, crypto::hash_alg alg,
                       byte_view digest) {
  const auto prefix = std::string(type) + ":" + prefix_of(alg);
  return add("ima-ngv2",
             {{digest_octets(prefix, digest), prefix + crypto::hex(digest)},
              {path_octets(path), path_text(path)}},
             false);
}

bytes writer::add_ima(std::string_view path, byte_view sha1) {
  constexpr std::size_t name_bytes = 256;
  assert(sha1.size() == template_hash_bytes && path.size() < name_bytes);
  const auto name = path_text(path);
  bytes hashed = to_bytes(sha1);
  append(hashed, as_bytes(name));
  hashed.resize(template_hash_bytes + name_bytes, 0);
  start("ima", crypto::digest(crypto::hash_alg::sha1, {hashed}));
  append(binary_, sha1);
  put_u32(binary_, name.size());
  append(binary_, as_bytes(name));
  ascii_ += " " + crypto::hex(sha1) + " " + name + "\n";
  return hashed;
}

bytes writer::add_violation(std::string_view path, crypto::hash_alg alg) {
  const auto prefix = prefix_of(alg);
  const bytes zeros(template_hash_bytes, 0);
  return add("ima-ng",
             {{digest_octets(prefix, zeros), prefix + crypto::hex(zeros)},
              {path_octets(path), path_text(path)}},
             true);
}

bytes make_signature(crypto::hash_alg alg, std::uint32_t key_id, byte_view octets) {
  assert(octets.size() <= UINT16_MAX);
  bytes out{3, 2, number_of(alg)};
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<std::uint8_t>(key_id >> shift));
  out.push_back(static_cast<std::uint8_t>(octets.size() >> 8));
  out.push_back(static_cast<std::uint8_t>(octets.size()));
  append(out, octets);
  return out;
}

} // namespace custos::ima
