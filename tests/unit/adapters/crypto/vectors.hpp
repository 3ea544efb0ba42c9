#pragma once
// Public test vectors in JSON, read with Boost.JSON on its own: what is tested does not read its
// own exam.

#include "adapters/crypto/crypto.hpp"
#include "tests/unit/test_data.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>
#include <string>

namespace custos::test {

inline std::string file_of(const std::string& name) {
  return read_text("crypto/" + name);
}

inline boost::json::object vectors(const std::string& name) {
  return boost::json::parse(file_of(name)).as_object();
}

inline std::string text_of(const boost::json::object& o, std::string_view name) {
  const auto* const found = o.if_contains({name.data(), name.size()});
  return found != nullptr && found->is_string() ? std::string(found->as_string()) : std::string();
}

inline bytes hex_of(const boost::json::object& o, std::string_view name) {
  auto decoded = crypto::from_hex(text_of(o, name));
  EXPECT_TRUE(decoded.ok()) << name;
  return decoded ? *std::move(decoded) : bytes{};
}

inline bytes base64url_of(const boost::json::object& o, std::string_view name) {
  auto decoded = crypto::from_base64url(text_of(o, name));
  EXPECT_TRUE(decoded.ok()) << name;
  return decoded ? *std::move(decoded) : bytes{};
}

/// Calls use(group, test) for every test of a Wycheproof file; returns how many there were.
template <class Use>
std::size_t each_vector(const std::string& file, Use use) {
  std::size_t count = 0;
  const auto root = vectors("wycheproof/" + file + "_test.json");
  for (const auto& group : root.at("testGroups").as_array())
    for (const auto& test : group.as_object().at("tests").as_array()) {
      SCOPED_TRACE(file + " " + boost::json::serialize(test.as_object().at("tcId")) + " " +
                   text_of(test.as_object(), "comment"));
      use(group.as_object(), test.as_object());
      ++count;
    }
  return count;
}

} // namespace custos::test
