#include "cluster/config_codec.hpp"

#include "tests/unit/cluster/test_certificates.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <set>

namespace custos::cluster {

namespace {

using test::json_text;

const std::string digest(64, 'a');
const std::string digest384(96, 'b');

template <class T>
T read(object_kind kind, const std::string& document) {
  auto out = read_object(kind,
                         kind == object_kind::settings   ? "settings"
                         : kind == object_kind::data_key ? "00ff10ab"
                                                         : "x",
                         document);
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.failure().field + ": " + out.failure().message);
  return out.ok() ? std::get<T>(*out) : T{};
}

std::string rewritten(object_kind kind, const std::string& document) {
  const auto out = read_object(kind,
                               kind == object_kind::settings   ? "settings"
                               : kind == object_kind::data_key ? "00ff10ab"
                                                               : "x",
                               document);
  return out.ok() ? write_object(*out) : "error: " + out.failure().message;
}

/// The first occurrence replaced.
std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

struct refused {
  std::string document;
  std::string field;
  errc code = errc::invalid_argument;
};

void expect_refused(object_kind kind, const std::vector<refused>& cases) {
  for (const auto& c : cases) {
    const auto out = read_object(kind,
                                 kind == object_kind::settings   ? "settings"
                                 : kind == object_kind::data_key ? "00ff10ab"
                                                                 : "x",
                                 c.document);
    ASSERT_FALSE(out.ok()) << c.document;
    EXPECT_EQ(out.failure().field, c.field) << c.document << " -> " << out.failure().message;
    EXPECT_EQ(out.failure().code, c.code) << c.document << " -> " << out.failure().message;
    EXPECT_NE(out.failure().message.find("expected"), std::string::npos) << out.failure().message;
  }
}

} // namespace

TEST(config_codec, takes_names_of_objects) {
  for (const auto* name : {"a", "0", "Image-1.2_x", "a..b"})
    EXPECT_TRUE(check_object_name(object_kind::base_image, name).ok()) << name;
  EXPECT_TRUE(check_object_name(object_kind::base_image, std::string(128, 'a')).ok());
  EXPECT_TRUE(check_object_name(object_kind::host, "_odd").ok());
  EXPECT_TRUE(check_object_name(object_kind::settings, "settings").ok());
}

TEST(config_codec, refuses_other_names) {
  for (const std::string name : {"", ".", "..", "-a", "_a", "a/b", "a b", "a\n", "\xC3\xA4", "a:b"})
    EXPECT_EQ(check_object_name(object_kind::base_image, name).failure().field, "name") << name;
  EXPECT_FALSE(check_object_name(object_kind::base_image, std::string(129, 'a')).ok());
  EXPECT_FALSE(check_object_name(object_kind::host, "a/b").ok());
  EXPECT_FALSE(check_object_name(object_kind::settings, "other").ok());
}

TEST(config_codec, takes_the_name_again_but_no_other) {
  EXPECT_TRUE(read_object(object_kind::principal, "x", R"({"name":"x","role":"auditor"})").ok());
  expect_refused(object_kind::principal, {{R"({"name":"y","role":"auditor"})", "/name"}});
}

TEST(config_codec, refuses_what_is_no_object) {
  expect_refused(object_kind::principal,
                 {{"", "", errc::malformed},
                  {"[]", "", errc::malformed},
                  {"{", "", errc::malformed},
                  {"{}x", "", errc::malformed},
                  {R"({"role":"auditor","role":"administrator"})", "/role", errc::malformed},
                  {R"({"role":"auditor","x":1})", "/x"}});
  const auto large =
      read_object(object_kind::principal, "x", std::string(config_document_bytes_max + 1, ' '));
  EXPECT_EQ(large.failure().code, errc::too_large);
}

TEST(config_codec, tpm_ca) {
  const auto root = test::self_signed("root", true);
  const auto other = test::self_signed("other", true);
  const auto leaf = test::self_signed("leaf", false);
  const auto document = R"({"certificates":[)" + json_text(root.cert.pem()) + "," +
                        json_text(other.cert.pem()) + "]}";
  const auto ca = read<tpm_ca>(object_kind::tpm_ca, document);
  EXPECT_EQ(ca.name, "x");
  ASSERT_EQ(ca.certificates.size(), 2U);
  EXPECT_EQ(ca.certificates[0], root.cert.der());
  EXPECT_EQ(ca.certificates[1], other.cert.der());
  EXPECT_EQ(rewritten(object_kind::tpm_ca, document), document);

  const auto one = json_text(root.cert.pem());
  expect_refused(
      object_kind::tpm_ca,
      {{"{}", "/certificates"},
       {R"({"certificates":[]})", "/certificates"},
       {R"({"certificates":"x"})", "/certificates"},
       {R"({"certificates":[1]})", "/certificates/0"},
       {R"({"certificates":["x"]})", "/certificates/0"},
       {R"({"certificates":[)" + one + "," + one + "]}", "/certificates/1"},
       {R"({"certificates":[)" + one + "," + json_text(leaf.cert.pem()) + "]}", "/certificates/1"},
       {R"({"certificates":[)" + json_text(root.cert.pem() + other.cert.pem()) + "]}",
        "/certificates/0"}});
  std::string many = one;
  for (std::size_t i = 0; i < certificates_per_object_max; ++i)
    many += "," + one;
  expect_refused(object_kind::tpm_ca,
                 {{R"({"certificates":[)" + many + "]}", "/certificates", errc::too_large}});
}

TEST(config_codec, endorsement_key) {
  const auto ek = test::self_signed("ek", false);
  const auto hash = crypto::sha256(ek.key.spki_der());
  const bytes expected(hash.begin(), hash.end());

  const auto by_key = R"({"public_key":)" + json_text(ek.key.public_pem()) + "}";
  EXPECT_EQ(read<endorsement_key>(object_kind::endorsement_key, by_key).spki_sha256, expected);
  EXPECT_EQ(rewritten(object_kind::endorsement_key, by_key), by_key);

  const auto by_cert = R"({"certificate":)" + json_text(ek.cert.pem()) + "}";
  const auto imported = read<endorsement_key>(object_kind::endorsement_key, by_cert);
  EXPECT_EQ(imported.spki_sha256, expected);
  EXPECT_EQ(imported.certificate, ek.cert.der());
  EXPECT_EQ(rewritten(object_kind::endorsement_key, by_cert), by_cert);

  const auto by_digest = R"({"spki_sha256":")" + crypto::hex(expected) + "\"}";
  EXPECT_EQ(read<endorsement_key>(object_kind::endorsement_key, by_digest).spki_sha256, expected);
  EXPECT_EQ(rewritten(object_kind::endorsement_key, by_digest), by_digest);

  expect_refused(object_kind::endorsement_key,
                 {{"{}", ""},
                  {with(by_digest, "}", "," + by_key.substr(1)), ""},
                  {R"({"public_key":"x"})", "/public_key"},
                  {R"({"public_key":1})", "/public_key"},
                  {R"({"certificate":"x"})", "/certificate"},
                  {R"({"certificate":1})", "/certificate"},
                  {R"({"spki_sha256":"aa"})", "/spki_sha256"},
                  {R"({"spki_sha256":1})", "/spki_sha256"},
                  {R"({"spki_sha256":")" + std::string(64, 'g') + "\"}", "/spki_sha256"}});
}

TEST(config_codec, settings) {
  const auto defaults = read<attestation_settings>(object_kind::settings, "{}");
  EXPECT_TRUE(defaults.require_certificate_validation);
  EXPECT_EQ(defaults.token_life_s, 28800U);
  const std::string all =
      R"({"ak_certificate_life_s":3600,"allow_sha1":true,"challenge_life_s":5,)"
      R"("event_log_bytes_max":16384,"events_max":16,"evidence_bytes_max":65536,)"
      R"("require_certificate_validation":false,"require_endorsement_keys":true,)"
      R"("token_life_s":60})";
  const auto s = read<attestation_settings>(object_kind::settings, all);
  EXPECT_TRUE(s.allow_sha1);
  EXPECT_TRUE(s.require_endorsement_keys);
  EXPECT_FALSE(s.require_certificate_validation);
  EXPECT_EQ(s.ak_certificate_life_s, 3600U);
  EXPECT_EQ(s.challenge_life_s, 5U);
  EXPECT_EQ(s.event_log_bytes_max, 16384U);
  EXPECT_EQ(s.events_max, 16U);
  EXPECT_EQ(s.evidence_bytes_max, 65536U);
  EXPECT_EQ(s.token_life_s, 60U);
  EXPECT_EQ(rewritten(object_kind::settings, all), all);

  expect_refused(
      object_kind::settings,
      {{R"({"require_endorsement_keys":1})", "/require_endorsement_keys"},
       {R"({"require_certificate_validation":"yes"})", "/require_certificate_validation"},
       {R"({"allow_sha1":0})", "/allow_sha1"},
       {R"({"challenge_life_s":4})", "/challenge_life_s"},
       {R"({"challenge_life_s":3601})", "/challenge_life_s"},
       {R"({"challenge_life_s":5.5})", "/challenge_life_s"},
       {R"({"token_life_s":59})", "/token_life_s"},
       {R"({"token_life_s":604801})", "/token_life_s"},
       {R"({"ak_certificate_life_s":3599})", "/ak_certificate_life_s"},
       {R"({"ak_certificate_life_s":31622401})", "/ak_certificate_life_s"},
       {R"({"evidence_bytes_max":65535})", "/evidence_bytes_max"},
       {R"({"evidence_bytes_max":16777217})", "/evidence_bytes_max"},
       {R"({"event_log_bytes_max":16383})", "/event_log_bytes_max"},
       {R"({"event_log_bytes_max":4194305})", "/event_log_bytes_max"},
       {R"({"events_max":15})", "/events_max"},
       {R"({"events_max":65537})", "/events_max"},
       {R"({"token_life":60})", "/token_life"}});
}

TEST(config_codec, base_image) {
  const std::string document =
      R"({"bank":"sha256","pcrs":[{"form":"exact","pcr":0,"values":[")" + digest +
      R"("]},{"events":[{"digest":")" + digest +
      R"(","hint":"grubx64.efi","type":2147483651},{"digest":")" + digest +
      R"(","type":4}],"form":"ordered","pcr":4},{"events":[],"form":"set","pcr":7},)"
      R"({"form":"ignored","pcr":9}],"version":"1.0"})";
  const auto image = read<base_image>(object_kind::base_image, document);
  ASSERT_EQ(image.pcrs.size(), 4U);
  EXPECT_EQ(image.version, "1.0");
  EXPECT_EQ(image.pcrs[0].form, pcr_form::exact);
  EXPECT_EQ(image.pcrs[0].values, std::vector<bytes>{bytes(32, 0xAA)});
  EXPECT_EQ(image.pcrs[1].form, pcr_form::ordered);
  ASSERT_EQ(image.pcrs[1].events.size(), 2U);
  EXPECT_EQ(image.pcrs[1].events[0].type, 0x80000003U);
  EXPECT_EQ(image.pcrs[1].events[0].digest, bytes(32, 0xAA));
  EXPECT_EQ(image.pcrs[1].events[0].hint, "grubx64.efi");
  EXPECT_EQ(image.pcrs[2].form, pcr_form::set);
  EXPECT_EQ(image.pcrs[3].form, pcr_form::ignored);
  EXPECT_EQ(rewritten(object_kind::base_image, document), document);

  const auto wide =
      with(with(R"({"bank":"sha384","pcrs":[{"form":"exact","pcr":0,"values":["D"]}],)"
                R"("version":"1"})",
                "D", digest384),
           "\"1\"", "\"2\"");
  EXPECT_EQ(rewritten(object_kind::base_image, wide), wide);
}

TEST(config_codec, base_image_refusals) {
  const std::string good = R"({"version":"1","bank":"sha256","pcrs":[{"pcr":4,"form":"ordered",)"
                           R"("events":[{"type":3,"digest":")" +
                           digest + R"(","hint":"h"}]}]})";
  ASSERT_TRUE(read_object(object_kind::base_image, "x", good).ok());
  const auto exact =
      R"({"version":"1","pcrs":[{"pcr":0,"form":"exact","values":[")" + digest + R"("]}]})";
  ASSERT_TRUE(read_object(object_kind::base_image, "x", exact).ok());
  const auto change = [&](const std::string& from, const std::string& to) {
    return with(good, from, to);
  };
  const std::string event = "/pcrs/0/events/0";
  expect_refused(
      object_kind::base_image,
      {{change(R"("version":"1",)", ""), "/version"},
       {change(R"("version":"1")", R"("version":"")"), "/version"},
       {change(R"("version":"1")", R"("version":")" + std::string(129, 'v') + "\""), "/version"},
       {change("sha256", "sha1"), "/bank"},
       {change("sha256", "md5"), "/bank"},
       {change("sha256", "sha512"), event + "/digest"},
       {R"({"version":"1"})", "/pcrs"},
       {R"({"version":"1","pcrs":[]})", "/pcrs"},
       {R"({"version":"1","pcrs":[1]})", "/pcrs/0"},
       {R"({"version":"1","pcrs":[{"pcr":1,"form":"ignored"}]})", "/pcrs"},
       {change(R"("pcr":4)", R"("pcr":24)"), "/pcrs/0/pcr"},
       {change(R"("pcr":4)", R"("pcr":-1)"), "/pcrs/0/pcr"},
       {change(R"("pcr":4)", R"("pcr":16)"), "/pcrs/0/pcr"},
       {change(R"("pcr":4)", R"("pcr":23)"), "/pcrs/0/pcr"},
       {change(R"("pcr":4,)", ""), "/pcrs/0/pcr"},
       {change("}]}]}", R"(}]},{"pcr":4,"form":"ignored"}]})"), "/pcrs/1/pcr"},
       {change("ordered", "sorted"), "/pcrs/0/form"},
       {change(R"("form":"ordered",)", ""), "/pcrs/0/form"},
       {change(R"("form":"ordered",)", R"("form":"ordered","values":[],)"), "/pcrs/0/values"},
       {change("ordered", "ignored"), "/pcrs/0/events"},
       {change("ordered", "exact"), "/pcrs/0/values"},
       {change(R"("events")", R"("evils")"), "/pcrs/0/events"},
       {change(R"("type":3)", R"("type":4294967296)"), event + "/type"},
       {change(R"("type":3,)", ""), event + "/type"},
       {change(digest, "aa"), event + "/digest"},
       {change(digest, digest + "aa"), event + "/digest"},
       {change(R"("hint":"h")", R"("hint":1)"), event + "/hint"},
       {change("\"h\"", "\"" + std::string(513, 'h') + "\""), event + "/hint"},
       {change(R"("hint")", R"("hit")"), event + "/hit"},
       {with(exact, R"("values":[")" + digest + "\"]", R"("values":[])"), "/pcrs/0/values"},
       {with(exact, digest, "zz"), "/pcrs/0/values/0"},
       {with(exact, "\"" + digest + "\"", "5"), "/pcrs/0/values/0"}});
}

TEST(config_codec, base_image_demands) {
  const auto signer = json_text(test::self_signed("signer", false).key.public_pem());
  const std::string document =
      R"({"audit_only":true,"bank":"sha256","ima":{"buffers":[{"digests":[")" + digest +
      R"("],"path":"kexec-cmdline"}],"files":[{"digests":[")" + digest + R"(",")" + digest384 +
      R"("],"path":"/usr/bin/true"}],"ignored":["/var"],"signers":[)" + signer +
      R"(]},"pcrs":[{"events":[],"form":"set","pcr":4}],"secure_boot":{"authorities":[")" + digest +
      R"("],"enabled":true,"revoked":[")" + digest + R"("]},"version":"1"})";
  const auto image = read<base_image>(object_kind::base_image, document);
  EXPECT_TRUE(image.audit_only);
  ASSERT_TRUE(image.secure_boot);
  EXPECT_TRUE(image.secure_boot->enabled);
  EXPECT_EQ(image.secure_boot->authorities, std::vector<bytes>{bytes(32, 0xAA)});
  EXPECT_EQ(image.secure_boot->revoked, std::vector<bytes>{bytes(32, 0xAA)});
  ASSERT_TRUE(image.ima);
  ASSERT_EQ(image.ima->files.size(), 1U);
  EXPECT_EQ(image.ima->files[0].path, "/usr/bin/true");
  EXPECT_EQ(image.ima->files[0].digests, (std::vector<bytes>{bytes(32, 0xAA), bytes(48, 0xBB)}));
  EXPECT_EQ(image.ima->buffers[0].path, "kexec-cmdline");
  EXPECT_EQ(image.ima->ignored, std::vector<std::string>{"/var"});
  EXPECT_EQ(image.ima->signers.size(), 1U);
  EXPECT_EQ(rewritten(object_kind::base_image, document), document);

  // Every member that fields_of() lists is in there, by its pointer.
  for (const auto& f : fields_of(object_kind::base_image))
    if (f.path.starts_with("/ima/") || f.path.starts_with("/secure_boot/")) {
      EXPECT_NE(document.find("\"" + std::string(f.path.substr(f.path.rfind('/') + 1)) + "\""),
                std::string::npos)
          << f.path;
    }

  // What demands nothing is left out, so that documents of before stay as they were.
  const std::string plain =
      R"({"bank":"sha256","pcrs":[{"events":[],"form":"set","pcr":4}],"version":"1"})";
  EXPECT_EQ(rewritten(object_kind::base_image, with(plain, "{", R"({"audit_only":false,)")), plain);
  const auto off = with(plain, "\"version\"", R"("secure_boot":{"enabled":false},"version")");
  EXPECT_EQ(rewritten(object_kind::base_image, off), off);
  const auto empty = with(plain, "\"pcrs\"", R"("ima":{},"pcrs")");
  EXPECT_EQ(rewritten(object_kind::base_image, empty), empty);
}

TEST(config_codec, base_image_demand_refusals) {
  const auto demands = [](const std::string& members) {
    return R"({"version":"1","pcrs":[{"pcr":4,"form":"set","events":[]}],)" + members + "}";
  };
  ASSERT_TRUE(read_object(object_kind::base_image, "x", demands(R"("audit_only":true)")).ok());
  const std::string file = R"("ima":{"files":[{"path":"/a","digests":["DIGEST"]}]})";
  const auto hash = with(file, "DIGEST", digest);
  ASSERT_TRUE(read_object(object_kind::base_image, "x", demands(hash)).ok());
  expect_refused(
      object_kind::base_image,
      {{demands(R"("audit_only":1)"), "/audit_only"},
       {demands(R"("secure_boot":true)"), "/secure_boot"},
       {demands(R"("secure_boot":{})"), "/secure_boot/enabled"},
       {demands(R"("secure_boot":{"enabled":"yes"})"), "/secure_boot/enabled"},
       {demands(R"("secure_boot":{"enabled":true,"x":1})"), "/secure_boot/x"},
       {demands(R"("secure_boot":{"enabled":true,"authorities":["aa"]})"),
        "/secure_boot/authorities/0"},
       {demands(R"("secure_boot":{"enabled":true,"revoked":[7]})"), "/secure_boot/revoked/0"},
       {demands(R"("secure_boot":{"enabled":false,"authorities":[")" + digest + "\"]}"),
        "/secure_boot/authorities"},
       {demands(R"("ima":[])"), "/ima"},
       {demands(R"("ima":{"x":[]})"), "/ima/x"},
       {demands(with(hash, "\"/a\"", "\"\"")), "/ima/files/0/path"},
       {demands(with(hash, R"("path":"/a",)", "")), "/ima/files/0/path"},
       {demands(with(hash, digest, "zz")), "/ima/files/0/digests/0"},
       {demands(with(hash, digest, "aabb")), "/ima/files/0/digests/0"},
       {demands(with(hash, "\"" + digest + "\"", "")), "/ima/files/0/digests"},
       {demands(with(hash, "}]", R"(,"x":1}])")), "/ima/files/0/x"},
       {demands(R"("ima":{"signers":["x"]})"), "/ima/signers/0"},
       {demands(R"("ima":{"ignored":["var"]})"), "/ima/ignored/0"},
       {demands(R"("ima":{"ignored":["/"]})"), "/ima/ignored/0"}});
}

namespace {

std::string full_provider(const test::made& client, const test::made& server) {
  const auto sealed = crypto::base64url(bytes(34, 2));
  return R"({"access":{"hosts":["h1"],"images":["img"]},"client_certificate":)" +
         json_text(client.cert.pem()) +
         R"(,"legacy_ciphers":true,"mode":"remote","primary_key_id":"k1",)"
         R"("sealed_client_private_key":")" +
         sealed + R"(","sealed_password":")" + sealed +
         R"(","servers":[{"host":"kms1.example.org","name":"a","port":5697},)"
         R"({"host":"2001:db8::1","name":"b","port":5696}],"timeout_ms":100,)"
         R"("trusted_peer_certificates":[)" +
         json_text(server.cert.pem()) + R"(],"username":"u"})";
}

} // namespace

TEST(config_codec, key_provider) {
  const auto client = test::self_signed("client", false);
  const auto server = test::self_signed("server", false);
  const auto document = full_provider(client, server);
  const auto p = read<key_provider>(object_kind::key_provider, document);
  EXPECT_EQ(p.primary_key_id, "k1");
  EXPECT_EQ(p.mode, primary_key_mode::remote);
  ASSERT_EQ(p.servers.size(), 2U);
  EXPECT_EQ(p.servers[0].name, "a");
  EXPECT_EQ(p.servers[0].host, "kms1.example.org");
  EXPECT_EQ(p.servers[0].port, 5697);
  EXPECT_EQ(p.client_certificate, client.cert.pem());
  EXPECT_EQ(p.client_private_key.sealed, bytes(34, 2));
  EXPECT_EQ(p.trusted_peer_certificates, std::vector<std::string>{server.cert.pem()});
  EXPECT_EQ(p.username, "u");
  EXPECT_EQ(p.password.sealed, bytes(34, 2));
  EXPECT_EQ(p.timeout_ms, 100U);
  EXPECT_TRUE(p.legacy_ciphers);
  EXPECT_EQ(p.access.images, std::vector<std::string>{"img"});
  EXPECT_EQ(p.access.hosts, std::vector<std::string>{"h1"});
  EXPECT_EQ(rewritten(object_kind::key_provider, document), document);

  const auto least =
      read<key_provider>(object_kind::key_provider, R"({"servers":[{"name":"a","host":"h"}]})");
  EXPECT_EQ(least.mode, primary_key_mode::automatic);
  EXPECT_EQ(least.servers[0].port, 5696);
  EXPECT_EQ(least.timeout_ms, 5000U);
  EXPECT_FALSE(least.legacy_ciphers);
  EXPECT_TRUE(least.client_private_key.sealed.empty());
}

TEST(config_codec, key_provider_refusals) {
  const auto good = full_provider(test::self_signed("c", false), test::self_signed("s", false));
  const auto change = [&](const std::string& from, const std::string& to) {
    return with(good, from, to);
  };
  const auto sealed = crypto::base64url(bytes(34, 2));
  const auto unknown = crypto::base64url(bytes(34, 1));
  expect_refused(
      object_kind::key_provider,
      {{"{}", "/servers"},
       {R"({"servers":[]})", "/servers"},
       {R"({"servers":[1]})", "/servers/0"},
       {change("\"k1\"", "\"" + std::string(257, 'k') + "\""), "/primary_key_id"},
       {change("\"remote\"", "\"far\""), "/mode"},
       {change(R"("name":"a")", R"("name":"")"), "/servers/0/name"},
       {change(R"(,"name":"a")", ""), "/servers/0/name"},
       {change(R"("name":"b")", R"("name":"a")"), "/servers/1/name"},
       {change(R"("host":"kms1.example.org",)", ""), "/servers/0/host"},
       {change("kms1.example.org", "kms1/example"), "/servers/0/host"},
       {change("kms1.example.org", ""), "/servers/0/host"},
       {change("5697", "0"), "/servers/0/port"},
       {change("5697", "65536"), "/servers/0/port"},
       {change(R"("port":5697)", R"("prt":5697)"), "/servers/0/prt"},
       {change("-----BEGIN CERTIFICATE", "-----BEGIN NOTHING"), "/client_certificate"},
       {change(R"("sealed_client_private_key":")" + sealed + "\",", ""),
        "/sealed_client_private_key"},
       {change(R"(private_key":")" + sealed, R"(private_key":"!!)"), "/sealed_client_private_key"},
       {change(R"(private_key":")" + sealed, R"(private_key":")" + unknown),
        "/sealed_client_private_key"},
       {change(R"(password":")" + sealed, R"(password":"AgIC)"), "/sealed_password"},
       {change(R"("username":"u")", R"("username":"")"), "/username"},
       {change("\"u\"", "\"" + std::string(257, 'u') + "\""), "/username"},
       {change(R"("timeout_ms":100)", R"("timeout_ms":99)"), "/timeout_ms"},
       {change(R"("timeout_ms":100)", R"("timeout_ms":60001)"), "/timeout_ms"},
       {change(R"("legacy_ciphers":true)", R"("legacy_ciphers":"no")"), "/legacy_ciphers"},
       {change(R"(certificates":["-----BEGIN CERTIFICATE)", R"(certificates":["-----BEGIN X)"),
        "/trusted_peer_certificates/0"},
       {change(R"("hosts":["h1"])", R"("hosts":["h/1"])"), "/access/hosts/0"},
       {change(R"("hosts":["h1"])", R"("hosts":["h1","h1"])"), "/access/hosts/1"},
       {change(R"("images":["img"])", R"("images":[".img"])"), "/access/images/0"},
       {change(R"("images":["img"])", R"("images":"img")"), "/access/images"},
       {change(R"("images":["img"])", R"("image":["img"])"), "/access/image"},
       {change(R"("access":{"hosts":["h1"],"images":["img"]})", R"("access":[])"), "/access"}});
  std::string servers;
  for (std::size_t i = 0; i <= servers_per_provider_max; ++i)
    servers +=
        std::string(i == 0 ? "" : ",") + R"({"name":"s)" + std::to_string(i) + R"(","host":"h"})";
  expect_refused(object_kind::key_provider,
                 {{R"({"servers":[)" + servers + "]}", "/servers", errc::too_large}});
}

TEST(config_codec, principal) {
  EXPECT_EQ(read<principal>(object_kind::principal, R"({"role":"administrator"})").may,
            role::administrator);
  EXPECT_EQ(rewritten(object_kind::principal, R"({ "role" : "auditor" })"),
            R"({"role":"auditor"})");
  expect_refused(object_kind::principal,
                 {{"{}", "/role"}, {R"({"role":"root"})", "/role"}, {R"({"role":1})", "/role"}});
}

TEST(config_codec, host) {
  const auto h = read<host_binding>(object_kind::host, R"({"ek_spki_sha256":")" + digest + "\"}");
  EXPECT_EQ(h.host, "x");
  EXPECT_FALSE(h.quarantined);
  EXPECT_EQ(h.ek_spki_sha256, bytes(32, 0xAA));
  const auto bad = R"({"ek_spki_sha256":")" + digest + R"(","quarantined":true})";
  EXPECT_EQ(rewritten(object_kind::host, bad), bad);
  expect_refused(object_kind::host, {{"{}", "/ek_spki_sha256"},
                                     {R"({"ek_spki_sha256":"aa"})", "/ek_spki_sha256"},
                                     {with(bad, "true", "1"), "/quarantined"}});
}

TEST(config_codec, data_key) {
  const std::string good = R"({"created":1,"wrapped":{"n1":"aa.bb.cc.dd.ee","n2":"f-._.h.i.j"}})";
  const auto out = read_object(object_kind::data_key, "00ff10ab", good);
  ASSERT_TRUE(out.ok()) << out.failure().message;
  EXPECT_EQ(write_object(*out), good);
  const auto& key = std::get<data_key>(*out);
  EXPECT_EQ(key.name, "00ff10ab");
  EXPECT_EQ(key.created, 1);
  EXPECT_EQ(key.wrapped.at("n2"), "f-._.h.i.j");
  const auto refused = [](const std::string& document) {
    const auto read = read_object(object_kind::data_key, "00ff10ab", document);
    return read ? "nothing" : read.failure().field;
  };
  EXPECT_EQ(refused("{}"), "/created");
  EXPECT_EQ(refused(with(good, R"("created":1)", R"("created":0)")), "/created");
  EXPECT_EQ(refused(R"({"created":1})"), "/wrapped");
  EXPECT_EQ(refused(R"({"created":1,"wrapped":{}})"), "/wrapped");
  EXPECT_EQ(refused(with(good, "\"n1\"", "\"/n1\"")), "/wrapped");
  EXPECT_EQ(refused(with(good, "aa.bb.cc.dd.ee", "aa.bb.cc.dd")), "/wrapped/n1");
  EXPECT_EQ(refused(with(good, "aa.bb.cc.dd.ee", "a+.bb.cc.dd.ee")), "/wrapped/n1");
  EXPECT_EQ(refused(with(good, "aa.bb.cc.dd.ee", std::string(1024, 'a') + "....")), "/wrapped/n1");
  for (const auto* const name : {"x", "00FF10AB", "00ff10a", "00ff10abc"})
    EXPECT_EQ(read_object(object_kind::data_key, name, good).failure().field, "name") << name;
}

/// Every member the writer knows is described, and nothing else.
TEST(config_codec, describes_its_fields) {
  const auto described = [](object_kind kind) {
    std::set<std::string> out;
    for (const auto& f : fields_of(kind))
      if (std::count(f.path.begin(), f.path.end(), '/') == 1)
        out.emplace(f.path.substr(1));
    return out;
  };
  for (const auto kind :
       {object_kind::tpm_ca, object_kind::endorsement_key, object_kind::base_image,
        object_kind::settings, object_kind::key_provider, object_kind::principal, object_kind::host,
        object_kind::token_key, object_kind::denial, object_kind::data_key}) {
    EXPECT_FALSE(described(kind).empty()) << to_string(kind);
    // An unknown member is refused by name, a described one is asked for.
    for (const auto& member : described(kind)) {
      const auto out = read_object(kind,
                                   kind == object_kind::settings   ? "settings"
                                   : kind == object_kind::data_key ? "00ff10ab"
                                                                   : "x",
                                   "{\"" + member + "\":{}}");
      ASSERT_FALSE(out.ok() && member != "access") << member;
      EXPECT_NE(out.failure().message, "expected no such member") << member;
    }
  }
}

} // namespace custos::cluster
