#pragma once
// Messages of KMIP for people and for programs that show them: a tree with the names of tags and
// values. What may be a secret is shown by its size only, unless asked for: Key Material and all in
// it, a Key Value of octets, passwords and tickets, Data (plaintext of Encrypt and Decrypt), opaque
// and derivation data, PKCS#11 parameters, and octets under tags or attributes that have no name
// here. Pure; depth is bounded by ttlv.hpp. Text of a message cannot steer a terminal.

#include "adapters/kmip/ttlv.hpp"

#include <boost/json/fwd.hpp>
#include <string>

namespace custos::kmip {

struct describe_options {
  bool show_secrets = false;
};

/// A line an item, two spaces a level: "Batch Count (Integer): 1".
std::string describe(const ttlv_item& item, const describe_options& options = {});

/// {"tag", "number", "type", "value"}; the value of a Structure is an array of these. An
/// enumeration or tag has its "name", a mask its "names", a date its "time". A secret has "hidden":
/// true and, for octets and text, "length" in place of "value".
boost::json::value describe_json(const ttlv_item& item, const describe_options& options = {});

} // namespace custos::kmip
