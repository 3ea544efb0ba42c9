// docs/token.schema.json against real tokens. The walker knows the keywords that the schema uses,
// is strict about members (each must be described) and fails on a keyword that it does not know; a
// foreign validator judges tokens of the running system in tests/system/path_test.py.

#include "actors/attestation/token.hpp"

#include <boost/json.hpp>
#include <fstream>
#include <gtest/gtest.h>
#include <regex>
#include <sstream>

namespace custos::attestation {
namespace {

namespace bj = boost::json;

const bj::object& schema() {
  static const bj::object loaded = [] {
    const std::ifstream file(CUSTOS_TEST_DATA "/../../docs/token.schema.json");
    std::ostringstream text;
    text << file.rdbuf();
    return bj::parse(text.str()).as_object();
  }();
  return loaded;
}

/// Why `v` does not fit, or nothing. Collects the members that it met, as "path".
class walker {
public:
  std::string judge(const bj::object& s, const bj::value& v, const std::string& path) {
    for (const auto& [keyword, argument] : s)
      if (const auto why = one(s, std::string(keyword), argument, v, path); !why.empty())
        return path + ": " + std::string(keyword) + why;
    return {};
  }

private:
  std::string one(const bj::object& s, const std::string& keyword, const bj::value& argument,
                  const bj::value& v, const std::string& path) {
    if (keyword == "description" || keyword == "title" || keyword == "$schema" ||
        keyword == "$id" || keyword == "$defs")
      return {};
    if (keyword == "$ref") {
      const std::string name(argument.as_string().subview(std::string("#/$defs/").size()));
      return judge(schema().at("$defs").at(name).as_object(), v, path);
    }
    if (keyword == "type")
      return fits_type(std::string(argument.as_string()), v) ? "" : " differs";
    if (keyword == "const")
      return argument == v ? "" : " differs";
    if (keyword == "enum")
      return std::count(argument.as_array().begin(), argument.as_array().end(), v) == 1
                 ? ""
                 : " has no " + bj::serialize(v);
    if (keyword == "anyOf") {
      for (const auto& choice : argument.as_array())
        if (judge(choice.as_object(), v, path).empty())
          return {};
      return " has nothing that fits";
    }
    if (v.is_string())
      return of_string(keyword, argument, std::string(v.as_string()));
    if (v.is_array())
      return of_array(keyword, argument, v.as_array(), path);
    if (v.is_object())
      return of_object(s, keyword, argument, v.as_object(), path);
    const auto number = v.to_number<std::int64_t>();
    if (keyword == "minimum")
      return number >= argument.as_int64() ? "" : " is larger";
    if (keyword == "maximum")
      return number <= argument.as_int64() ? "" : " is smaller";
    return " is not known to this test";
  }

  static bool fits_type(const std::string& type, const bj::value& v) {
    return (type == "string" && v.is_string()) || (type == "object" && v.is_object()) ||
           (type == "array" && v.is_array()) || (type == "boolean" && v.is_bool()) ||
           (type == "integer" && (v.is_int64() || v.is_uint64()));
  }
  static std::string of_string(const std::string& keyword, const bj::value& argument,
                               const std::string& text) {
    if (keyword == "pattern")
      return std::regex_search(text, std::regex(std::string(argument.as_string())))
                 ? ""
                 : " does not fit " + text;
    const auto size = static_cast<std::int64_t>(text.size());
    if (keyword == "minLength")
      return size >= argument.as_int64() ? "" : " is larger";
    if (keyword == "maxLength")
      return size <= argument.as_int64() ? "" : " is smaller";
    return " is not known to this test";
  }
  std::string of_array(const std::string& keyword, const bj::value& argument, const bj::array& list,
                       const std::string& path) {
    const auto size = static_cast<std::int64_t>(list.size());
    if (keyword == "minItems")
      return size >= argument.as_int64() ? "" : " is larger";
    if (keyword == "maxItems")
      return size <= argument.as_int64() ? "" : " is smaller";
    if (keyword != "items")
      return " is not known to this test";
    for (const auto& item : list)
      if (auto why = judge(argument.as_object(), item, path + "/*"); !why.empty())
        return " " + why;
    return {};
  }
  std::string of_object(const bj::object& s, const std::string& keyword, const bj::value& argument,
                        const bj::object& o, const std::string& path) {
    if (keyword == "required") {
      for (const auto& name : argument.as_array())
        if (!o.contains(name.as_string()))
          return " " + std::string(name.as_string());
      return {};
    }
    if (keyword != "properties")
      return " is not known to this test";
    for (const auto& [name, member] : o) {
      const auto* const described = s.at("properties").as_object().if_contains(name);
      if (described == nullptr)
        return " does not describe " + std::string(name);
      if (auto why = judge(described->as_object(), member, path + "/" + std::string(name));
          !why.empty())
        return " " + why;
    }
    return {};
  }
};

token_claims some_claims() {
  token_claims c;
  c.issuer = "https://trust.example";
  c.host = "host-7";
  c.issued = 1'800'000'000;
  c.expires = c.issued + 3600;
  c.id = "id";
  c.nonce = bytes(32, 1);
  c.key_thumbprint.fill(2);
  c.ek_spki_sha256.fill(0xFF);
  c.image = "debian";
  c.image_version = "12.7";
  c.bank = "sha256";
  c.pcrs_used = {0, 23};
  c.ak_name = bytes(34, 5);
  c.reset_count = 0xFFFFFFFF;
  return c;
}

/// Everything there is to say.
token_claims all_claims() {
  auto c = some_claims();
  c.pcrs_ignored = {1};
  c.restart_count = 3;
  c.secure_boot = false;
  c.ima_entries = 10;
  c.ima_ignored = std::vector<std::string>(500, "/var/tmp/");
  c.findings = {{"secure-boot", "off"}, {"ima-log", "unknown file"}};
  c.config_fingerprint = std::string(64, 'f');
  c.ak_name = bytes(66, 5);
  return c;
}

bj::object claims_of(const token_claims& c, ear_spelling spelling) {
  static const auto by = *make_token_signer(*crypto::generate_p256(), "ES256", "k1");
  const auto token = make_token(c, by, spelling);
  EXPECT_TRUE(token);
  return bj::parse(jose::peek(*token)->payload).as_object();
}

std::string verdict(const bj::value& claims) {
  return walker().judge(schema(), claims, "");
}

TEST(TokenSchema, DescribesEveryTokenInEverySpelling) {
  for (const auto s : {ear_spelling::dotted, ear_spelling::underscored, ear_spelling::both})
    for (auto c : {some_claims(), all_claims()}) {
      EXPECT_EQ(verdict(claims_of(c, s)), "");
      c.audience = reporting_audience;
      EXPECT_EQ(verdict(claims_of(c, s)), "");
    }
}

TEST(TokenSchema, DemandsWhatIsAlwaysThere) {
  for (const std::string name : {"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "eat_nonce",
                                 "eat_profile", "ueid", "cnf", "submods", "ear.verifier-id"}) {
    auto o = claims_of(some_claims(), ear_spelling::dotted);
    ASSERT_EQ(o.erase(name), 1U);
    EXPECT_NE(verdict(o), "") << name;
  }
  for (const std::string name : {"ear.status", "ear.trustworthiness-vector", "custos"}) {
    auto o = claims_of(some_claims(), ear_spelling::dotted);
    ASSERT_EQ(o.at("submods").at("host").as_object().erase(name), 1U);
    EXPECT_NE(verdict(o), "") << name;
  }
  const auto whole = claims_of(some_claims(), ear_spelling::dotted);
  for (const auto& [name, value] : whole.at("submods").at("host").at("custos").as_object()) {
    auto o = whole;
    o.at("submods").at("host").at("custos").as_object().erase(name);
    EXPECT_NE(verdict(o), "") << name;
  }
}

TEST(TokenSchema, RefusesWhatIsNotATokens) {
  const auto changed = [](const std::string& name, const bj::value& v) {
    auto o = claims_of(all_claims(), ear_spelling::both);
    o[name] = v;
    return verdict(o);
  };
  EXPECT_NE(changed("aud", "somebody"), "");
  EXPECT_NE(changed("iat", 1.5), "");
  EXPECT_NE(changed("iss", "http://trust.example"), "");
  EXPECT_NE(changed("ueid", "AgAA"), "");
  EXPECT_NE(changed("surprise", 1), "");
  auto o = claims_of(all_claims(), ear_spelling::both);
  o.at("submods").at("host").as_object()["ear_status"] = "none";
  EXPECT_NE(verdict(o), "");
}

} // namespace
} // namespace custos::attestation
