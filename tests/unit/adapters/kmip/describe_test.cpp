#include "adapters/kmip/describe.hpp"

#include "adapters/crypto/crypto.hpp"
#include "adapters/kmip/protocol.hpp"
#include "tests/unit/adapters/kmip/vectors.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <set>

namespace custos::kmip {
namespace {

namespace bj = boost::json;

bytes good_get() {
  return testing::unhex(testing::table("malformed/malformed.tsv").at(0).at(3));
}

/// The octets of every item below a tag.
void collect(const ttlv_item& item, tag wanted, bool inside, std::set<std::string>& out) {
  inside = inside || item.name() == wanted;
  // Short values stand in many other places, too.
  if (inside && item.type() != item_type::structure && item.value().size() >= 12)
    out.insert(crypto::hex(item.value()));
  for (const ttlv_item child : item.children())
    collect(child, wanted, inside, out);
}

TEST(KmipDescribe, ATreeWithNames) {
  const auto message = good_get();
  EXPECT_EQ(describe(parse_ttlv(message).value()),
            "Response Message (Structure)\n"
            "  Response Header (Structure)\n"
            "    Protocol Version (Structure)\n"
            "      Protocol Version Major (Integer): 1\n"
            "      Protocol Version Minor (Integer): 2\n"
            "    Time Stamp (Date-Time): 1700000000 (2023-11-14T22:13:20Z)\n"
            "    Batch Count (Integer): 1\n"
            "  Batch Item (Structure)\n"
            "    Operation (Enumeration): Get (0x0000000A)\n"
            "    Result Status (Enumeration): Success (0x00000000)\n"
            "    Response Payload (Structure)\n"
            "      Object Type (Enumeration): Symmetric Key (0x00000002)\n"
            "      Unique Identifier (Text String): \"k1\"\n"
            "      Symmetric Key (Structure)\n"
            "        Key Block (Structure)\n"
            "          Key Format Type (Enumeration): Raw (0x00000001)\n"
            "          Key Value (Structure)\n"
            "            Key Material (Byte String): not shown, 32 bytes\n"
            "          Cryptographic Algorithm (Enumeration): AES (0x00000003)\n"
            "          Cryptographic Length (Integer): 256\n");
}

TEST(KmipDescribe, SecretsAreShownOnDemandOnly) {
  const auto message = good_get();
  const auto item = parse_ttlv(message).value();
  std::set<std::string> keys;
  collect(item, tag::key_material, false, keys);
  ASSERT_EQ(keys.size(), 1U);
  EXPECT_NE(describe(item, {true}).find(*keys.begin()), std::string::npos);
  EXPECT_NE(bj::serialize(describe_json(item, {true})).find(*keys.begin()), std::string::npos);
}

TEST(KmipDescribe, NoVectorShowsAKeyAPasswordOrAPlaintext) {
  std::size_t secrets_seen = 0;
  for (const char* folder : {"oasis-ttlv", "pykmip-0.10.0-capture", "vsphere-7.0.3-client"})
    for (const auto& file : testing::message_files(folder))
      for (const auto& m : testing::messages(file)) {
        const auto item = parse_ttlv(m.message).value();
        std::set<std::string> secrets;
        for (const tag t : {tag::key_material, tag::password, tag::data})
          collect(item, t, false, secrets);
        const auto text = describe(item) + bj::serialize(describe_json(item));
        for (const auto& secret : secrets)
          EXPECT_EQ(text.find(secret), std::string::npos) << file.filename().string();
        secrets_seen += secrets.size();
      }
  EXPECT_EQ(secrets_seen, 267U);
}

ttlv_item read(const crypto::wiped_bytes& octets) {
  return parse_ttlv(octets).value();
}

TEST(KmipDescribe, PasswordsAndWhatHasNoNameAreHidden) {
  ttlv_writer w;
  {
    const ttlv_scope value(w, tag::credential_value);
    w.text(tag::username, "kps");
    w.text(tag::password, "s3cret");
    w.octets(static_cast<tag>(0x540001), bytes(5, 0xAB));
    w.octets(tag::key_value, bytes(40, 0xCD));
    {
      // A transparent key: all of the structure is secret, whatever its type.
      const ttlv_scope material(w, tag::key_material);
      w.big_integer(static_cast<tag>(0x420063), bytes(8, 0x77));
    }
    const ttlv_scope attribute(w, tag::attribute);
    w.text(tag::attribute_name, "x-Vendor");
    w.octets(tag::attribute_value, bytes(3, 0xEF));
  }
  const auto octets = w.take();
  EXPECT_EQ(describe(read(octets)), "Credential Value (Structure)\n"
                                    "  Username (Text String): \"kps\"\n"
                                    "  Password (Text String): not shown, 6 bytes\n"
                                    "  0x00540001 (Byte String): not shown, 5 bytes\n"
                                    "  Key Value (Byte String): not shown, 40 bytes\n"
                                    "  Key Material (Structure)\n"
                                    "    Private Exponent (Big Integer): not shown\n"
                                    "  Attribute (Structure)\n"
                                    "    Attribute Name (Text String): \"x-Vendor\"\n"
                                    "    Attribute Value (Byte String): not shown, 3 bytes\n");
  const auto json = describe_json(read(octets));
  EXPECT_EQ(json.at("value").at(1).at("hidden"), true);
  EXPECT_EQ(json.at("value").at(1).at("length"), 6);
  EXPECT_EQ(json.at("value").at(1).as_object().if_contains("value"), nullptr);
  EXPECT_NE(describe(read(octets), {true}).find("s3cret"), std::string::npos);
}

TEST(KmipDescribe, AttributesOf1AreReadByTheirNames) {
  ttlv_writer w;
  {
    const ttlv_scope payload(w, tag::request_payload);
    w.open(tag::attribute);
    w.text(tag::attribute_name, "Cryptographic Usage Mask");
    w.integer(tag::attribute_value, 12);
    w.close();
    w.open(tag::attribute);
    w.text(tag::attribute_name, "State");
    w.enumeration(tag::attribute_value, state::active);
    w.close();
    w.enumeration(tag::attribute_reference, tag::state);
    w.integer(tag::cryptographic_usage_mask, static_cast<std::int32_t>(0x80000004));
    w.enumeration(tag::operation, 0x8000ABCD);
  }
  const auto text = describe(read(w.take()));
  EXPECT_NE(text.find("Attribute Value (Integer): 12 (Encrypt, Decrypt)"), std::string::npos);
  EXPECT_NE(text.find("Attribute Value (Enumeration): Active (0x00000002)"), std::string::npos);
  EXPECT_NE(text.find("Attribute Reference (Enumeration): State (0x0042008D)"), std::string::npos);
  EXPECT_NE(text.find("(Encrypt, 0x80000000)"), std::string::npos);
  EXPECT_NE(text.find("Operation (Enumeration): 0x8000ABCD\n"), std::string::npos);
}

TEST(KmipDescribe, EveryTypeHasItsForm) {
  ttlv_writer w;
  {
    const ttlv_scope payload(w, tag::response_payload);
    w.long_integer(tag::usage_limits_count, -5);
    w.boolean(tag::random_iv, true);
    w.interval(tag::lease_time, 3600);
    w.date_time(tag::initial_date, -1);
    w.date_time_extended(tag::time_stamp, -1);
    w.date_time(tag::time_stamp, INT64_MAX);
    w.big_integer(static_cast<tag>(0x420052), bytes{0x12});
    w.octets(tag::iv_counter_nonce, bytes{1, 2});
    w.text(tag::name_value, "a\x1b[31m\n\"b\\\xc2\x9b\xc3\xa9");
  }
  const auto octets = w.take();
  EXPECT_EQ(describe(read(octets)),
            "Response Payload (Structure)\n"
            "  Usage Limits Count (Long Integer): -5\n"
            "  Random IV (Boolean): true\n"
            "  Lease Time (Interval): 3600 s\n"
            "  Initial Date (Date-Time): -1 (1969-12-31T23:59:59Z)\n"
            "  Time Stamp (Date-Time Extended): -1 (1969-12-31T23:59:59.999999Z)\n"
            "  Time Stamp (Date-Time): 9223372036854775807\n"
            "  Modulus (Big Integer): 0000000000000012\n"
            "  IV/Counter/Nonce (Byte String): 0102\n"
            "  Name Value (Text String): \"a\\u001b[31m\\u000a\\\"b\\\\\\u009b\xc3\xa9\"\n");
  const auto json = describe_json(read(octets));
  EXPECT_EQ(json.at("tag"), "Response Payload");
  EXPECT_EQ(json.at("type"), "Structure");
  const auto& items = json.at("value").as_array();
  EXPECT_EQ(items.at(0).at("value"), -5);
  EXPECT_EQ(items.at(1).at("value"), true);
  EXPECT_EQ(items.at(3).at("time"), "1969-12-31T23:59:59Z");
  EXPECT_EQ(items.at(7).at("number"), "0x0042003D");
  EXPECT_EQ(items.at(7).at("value"), "0102");
}

TEST(KmipDescribe, JsonHasNamesAndMasks) {
  const auto built = build_request(create_symmetric_key{"disk"},
                                   [] {
                                     message_options o;
                                     o.version = {2, 0};
                                     return o;
                                   }())
                         .value();
  const auto json = describe_json(read(built));
  const auto& item = json.at("value").at(1);
  EXPECT_EQ(item.at("value").at(0).at("name"), "Create");
  const auto& attributes = item.at("value").at(1).at("value").at(1);
  EXPECT_EQ(attributes.at("tag"), "Attributes");
  EXPECT_EQ(attributes.at("value").at(2).at("names"), (bj::array{"Encrypt", "Decrypt"}));
}

} // namespace
} // namespace custos::kmip
