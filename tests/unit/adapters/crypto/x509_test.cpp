#include "adapters/crypto/x509.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace custos::crypto {
namespace {

constexpr unix_seconds now = 1'800'000'000;
constexpr unix_seconds day = 86'400;

certificate_request request_of(const std::string& name) {
  certificate_request r;
  r.common_name = name;
  r.organization = "Custos";
  r.not_before = now - day;
  r.not_after = now + day;
  return r;
}

/// A root, an intermediate and a leaf.
struct hierarchy {
  key root_key = *generate_p256();
  key middle_key = *generate_p256();
  key leaf_key = *generate_p256();
  certificate root, middle, leaf;

  hierarchy() {
    auto r = request_of("root");
    r.is_ca = true;
    root = *issue_certificate(r, root_key, root_key, nullptr);
    r.common_name = "middle";
    middle = *issue_certificate(r, middle_key, root_key, &root);
    leaf = issue(leaf_request());
  }
  static certificate_request leaf_request() {
    auto r = request_of("leaf");
    r.client_auth = true;
    r.dns_names = {"node-1.example.net", "node-1"};
    r.ip_addresses = {"192.0.2.1", "2001:db8::1"};
    return r;
  }
  certificate issue(const certificate_request& r) const {
    return *issue_certificate(r, leaf_key, middle_key, &middle);
  }
};

const hierarchy& pki() {
  static const hierarchy h;
  return h;
}

verify_options at(unix_seconds time, purpose use = purpose::any) {
  verify_options o;
  o.now = time;
  o.use = use;
  return o;
}

TEST(x509, says_what_was_issued) {
  const auto& leaf = pki().leaf;
  EXPECT_EQ(leaf.common_name(), "leaf");
  EXPECT_EQ(leaf.subject(), "CN=leaf,O=Custos");
  EXPECT_EQ(leaf.issuer(), "CN=middle,O=Custos");
  EXPECT_EQ(leaf.not_before(), now - day);
  EXPECT_EQ(leaf.not_after(), now + day);
  EXPECT_EQ(leaf.dns_names(), (std::vector<std::string>{"node-1.example.net", "node-1"}));
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_TRUE(pki().middle.is_ca());
  EXPECT_TRUE(leaf.public_key().same_public(pki().leaf_key));
  EXPECT_EQ(leaf.fingerprint(), sha256(leaf.der()));
}

TEST(x509, serial_numbers_are_random_and_positive) {
  const auto other = pki().issue(hierarchy::leaf_request());
  EXPECT_EQ(other.serial_hex().size(), 32U);
  EXPECT_NE(other.serial_hex(), pki().leaf.serial_hex());
  EXPECT_LT(other.serial_hex()[0], '8');
}

TEST(x509, standard_extensions_are_there) {
  for (const auto* const oid : {"2.5.29.14", "2.5.29.15", "2.5.29.19", "2.5.29.35", "2.5.29.37"})
    EXPECT_TRUE(extension_of(pki().leaf, oid).has_value()) << oid;
  EXPECT_EQ(hex(*extension_of(pki().leaf, "2.5.29.15")), "03020780"); // digitalSignature
  EXPECT_FALSE(extension_of(pki().root, "2.5.29.37").has_value());
  EXPECT_FALSE(extension_of(pki().leaf, "1.2.3.4").has_value());
  EXPECT_FALSE(extension_of(pki().leaf, "no oid").has_value());
  EXPECT_FALSE(extension_of(certificate(), "2.5.29.15").has_value());
}

TEST(x509, extensions_of_our_own_come_back) {
  auto r = hierarchy::leaf_request();
  r.extensions.push_back({"1.3.6.1.4.1.55555.1", bytes{0x04, 0x02, 0xAB, 0xCD}});
  EXPECT_EQ(extension_of(pki().issue(r), "1.3.6.1.4.1.55555.1"), (bytes{0x04, 0x02, 0xAB, 0xCD}));
  r.extensions.front().oid = "not an oid";
  EXPECT_FALSE(issue_certificate(r, pki().leaf_key, pki().middle_key, &pki().middle).ok());
}

TEST(x509, names_cannot_smuggle_others) {
  for (const auto* const name : {"a,DNS:evil", "a b", "", "a=b", "@section", "a\n"}) {
    auto r = hierarchy::leaf_request();
    r.dns_names = {name};
    EXPECT_EQ(issue_certificate(r, pki().leaf_key, pki().middle_key, &pki().middle).failure().code,
              errc::invalid_argument)
        << name;
  }
  auto r = hierarchy::leaf_request();
  r.ip_addresses = {"not-an-address"};
  EXPECT_FALSE(issue_certificate(r, pki().leaf_key, pki().middle_key, &pki().middle).ok());
}

TEST(x509, der_and_pem_come_back) {
  const auto& leaf = pki().leaf;
  EXPECT_EQ(certificate_from_der(leaf.der())->der(), leaf.der());
  EXPECT_EQ(certificate_from_pem(as_bytes(leaf.pem()))->der(), leaf.der());
  const auto chain = leaf.pem() + pki().middle.pem() + pki().root.pem();
  const auto read = certificates_from_pem(as_bytes(chain));
  ASSERT_TRUE(read.ok());
  ASSERT_EQ(read->size(), 3U);
  EXPECT_EQ((*read)[2].der(), pki().root.der());
  EXPECT_EQ(certificates_from_pem(as_bytes(chain), 2).failure().code, errc::too_large);
}

TEST(x509, bad_forms_are_refused) {
  auto der = pki().leaf.der();
  for (const std::size_t n :
       {std::size_t{0}, std::size_t{1}, std::size_t{4}, der.size() / 2, der.size() - 1})
    EXPECT_EQ(certificate_from_der(byte_view(der).first(n)).failure().code, errc::malformed) << n;
  der.push_back(0);
  EXPECT_EQ(certificate_from_der(der).failure().code, errc::malformed);
  EXPECT_EQ(certificate_from_der(bytes(20000)).failure().code, errc::too_large);
  EXPECT_FALSE(certificates_from_pem({}).ok());
  EXPECT_FALSE(certificates_from_pem(as_bytes("no certificate")).ok());
  const auto broken = pki().leaf.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n";
  EXPECT_FALSE(certificates_from_pem(as_bytes(broken)).ok());
}

TEST(x509, nv_padding_is_cut_off) {
  const auto& der = pki().leaf.der();
  for (const auto fill : {std::uint8_t{0x00}, std::uint8_t{0xFF}}) {
    auto padded = der;
    padded.resize(der.size() + 100, fill);
    const auto read = certificate_from_nv(padded);
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->der(), der);
  }
  EXPECT_EQ(certificate_from_nv(der)->der(), der);
}

TEST(x509, nv_padding_of_other_bytes_is_refused) {
  const auto& der = pki().leaf.der();
  auto mixed = der;
  mixed.insert(mixed.end(), {0x00, 0xFF});
  EXPECT_EQ(certificate_from_nv(mixed).failure().code, errc::malformed);
  auto other = der;
  other.push_back(0x30);
  EXPECT_EQ(certificate_from_nv(other).failure().code, errc::malformed);
  EXPECT_FALSE(certificate_from_nv(byte_view(der).first(der.size() - 1)).ok());
  EXPECT_FALSE(certificate_from_nv({}).ok());
  EXPECT_FALSE(certificate_from_nv(bytes(100, 0xFF)).ok());
  EXPECT_FALSE(certificate_from_nv(bytes{0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF}).ok());
}

// ---- chains -------------------------------------------------------------------------------------

TEST(x509_chain, holds) {
  const auto& p = pki();
  EXPECT_TRUE(verify_chain(p.leaf, {p.middle}, {p.root}, at(now)).ok());
  EXPECT_TRUE(verify_chain(p.leaf, {p.middle}, {p.root}, at(now, purpose::tls_client)).ok());
  EXPECT_TRUE(verify_chain(p.leaf, {p.middle, p.middle, p.leaf}, {p.root, p.root}, at(now)).ok());
}

TEST(x509_chain, ends_at_an_intermediate_only_if_allowed) {
  const auto& p = pki();
  auto o = at(now);
  EXPECT_TRUE(verify_chain(p.leaf, {}, {p.middle}, o).ok());
  o.partial_chain = false;
  EXPECT_FALSE(verify_chain(p.leaf, {}, {p.middle}, o).ok());
}

TEST(x509_chain, needs_every_link) {
  const auto& p = pki();
  const auto missing = verify_chain(p.leaf, {}, {p.root}, at(now));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().code, errc::crypto_failure);
  EXPECT_NE(missing.failure().message.find("CN=leaf"), std::string::npos)
      << missing.failure().message;
  EXPECT_FALSE(verify_chain(p.leaf, {p.middle}, {}, at(now)).ok());
  EXPECT_FALSE(verify_chain(certificate(), {p.middle}, {p.root}, at(now)).ok());
  EXPECT_FALSE(verify_chain(p.leaf, {certificate()}, {certificate()}, at(now)).ok());
}

TEST(x509_chain, dates_are_judged_at_the_given_time) {
  const auto& p = pki();
  const auto late = verify_chain(p.leaf, {p.middle}, {p.root}, at(now + 2 * day));
  ASSERT_FALSE(late.ok());
  EXPECT_NE(late.failure().message.find("expired"), std::string::npos) << late.failure().message;
  EXPECT_FALSE(verify_chain(p.leaf, {p.middle}, {p.root}, at(now - 2 * day)).ok());
  auto o = at(now + 2 * day);
  o.ignore_validity = true;
  EXPECT_TRUE(verify_chain(p.leaf, {p.middle}, {p.root}, o).ok());
}

TEST(x509_chain, purposes_are_judged) {
  const auto& p = pki();
  EXPECT_FALSE(verify_chain(p.leaf, {p.middle}, {p.root}, at(now, purpose::tls_server)).ok());
  auto r = hierarchy::leaf_request();
  r.client_auth = false;
  r.server_auth = true;
  const auto server = p.issue(r);
  EXPECT_TRUE(verify_chain(server, {p.middle}, {p.root}, at(now, purpose::tls_server)).ok());
  EXPECT_FALSE(verify_chain(server, {p.middle}, {p.root}, at(now, purpose::tls_client)).ok());
}

TEST(x509_chain, a_leaf_issues_nothing) {
  const auto& p = pki();
  const auto k = *generate_p256();
  const auto forged = *issue_certificate(request_of("forged"), k, p.leaf_key, &p.leaf);
  EXPECT_FALSE(verify_chain(forged, {p.leaf, p.middle}, {p.root}, at(now)).ok());
}

TEST(x509_chain, another_root_of_the_same_name_is_no_anchor) {
  const auto& p = pki();
  auto r = request_of("root");
  r.is_ca = true;
  const auto k = *generate_p256();
  const auto impostor = *issue_certificate(r, k, k, nullptr);
  EXPECT_FALSE(verify_chain(p.leaf, {p.middle}, {impostor}, at(now)).ok());
  EXPECT_FALSE(verify_chain(impostor, {}, {p.root}, at(now)).ok());
}

TEST(x509_chain, changed_certificates_are_refused) {
  const auto& p = pki();
  auto der = p.leaf.der();
  const std::string name = "node-1.example.net";
  const auto at_name = std::search(der.begin(), der.end(), name.begin(), name.end());
  ASSERT_NE(at_name, der.end());
  *at_name = 'N';
  const auto changed = certificate_from_der(der);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->dns_names().front(), "Node-1.example.net");
  EXPECT_FALSE(verify_chain(*changed, {p.middle}, {p.root}, at(now)).ok());
}

TEST(x509_chain, unknown_critical_extensions_are_refused) {
  const auto& p = pki();
  auto r = hierarchy::leaf_request();
  r.extensions.push_back({"1.3.6.1.4.1.55555.1", bytes{0x05, 0x00}, true});
  const auto refused = verify_chain(p.issue(r), {p.middle}, {p.root}, at(now));
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.failure().message.find("critical"), std::string::npos)
      << refused.failure().message;
}

// ---- signing requests ---------------------------------------------------------------------------

TEST(csr, comes_back) {
  const auto k = *generate_p256();
  const auto pem = make_csr_pem(request_of("kmip client"), k);
  ASSERT_TRUE(pem.ok());
  const auto read = read_csr_pem(as_bytes(*pem));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->common_name, "kmip client");
  EXPECT_TRUE(read->public_key.same_public(k));
  const auto without_name = make_csr_pem(request_of(""), k);
  EXPECT_EQ(read_csr_pem(as_bytes(*without_name))->common_name, "");
}

TEST(csr, bad_requests_are_refused) {
  const auto pem = *make_csr_pem(request_of("n"), *generate_p256());
  EXPECT_EQ(read_csr_pem({}).failure().code, errc::malformed);
  EXPECT_EQ(read_csr_pem(as_bytes("x")).failure().code, errc::malformed);
  // One bit of the signature: the last base64 group before the end line.
  auto changed = pem;
  const auto end = changed.find("\n-----END");
  ASSERT_NE(end, std::string::npos);
  auto& c = changed[end - 6];
  c = c == 'A' ? 'B' : 'A';
  EXPECT_FALSE(read_csr_pem(as_bytes(changed)).ok());
  EXPECT_FALSE(make_csr_pem(request_of("n"), key()).ok());
}

} // namespace
} // namespace custos::crypto
