#pragma once
// Answers of a key server, made from requests: for tests that need no network. Not a key server:
// it knows what the tests ask.

#include "adapters/kmip/protocol.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace custos::kmip::testing {

class fake_server {
public:
  std::vector<protocol_version> versions{{1, 0}, {1, 2}, {1, 4}, {1, 1}};
  /// Operations that fail, and why.
  std::map<operation, result_reason> failing;
  /// Changes an answer before it is sent.
  std::function<void(crypto::wiped_bytes&)> tamper;
  std::vector<operation> seen;

  /// Takes no batches: answers them as a whole with an error.
  bool no_batches = false;
  /// Gives the answers of a batch in the opposite order.
  bool backwards = false;
  /// Batch Items of each request message.
  std::vector<std::size_t> batches;

  /// One whole request to its answer.
  crypto::wiped_bytes answer(byte_view message) {
    const auto request = parse_ttlv(message).value();
    const auto header = request.child(tag::request_header).value();
    const auto version = version_of(header.child(tag::protocol_version).value());
    std::vector<ttlv_item> items;
    for (const ttlv_item child : request.children())
      if (child.name() == tag::batch_item)
        items.push_back(child);
    batches.push_back(items.size());
    if (backwards)
      std::reverse(items.begin(), items.end());
    const bool refuse = no_batches && items.size() > 1;
    ttlv_writer w;
    {
      const ttlv_scope out(w, tag::response_message);
      w.open(tag::response_header);
      write_version(w, version);
      w.date_time(tag::time_stamp, 1700000000);
      w.integer(tag::batch_count, refuse ? 1 : static_cast<std::int32_t>(items.size()));
      w.close();
      if (refuse)
        write_refusal(w);
      else
        for (const ttlv_item& item : items)
          answer_item(w, item, version);
    }
    auto answer = w.take();
    if (tamper)
      tamper(answer);
    return answer;
  }

  static protocol_version version_of(const ttlv_item& item) {
    return {
        static_cast<std::uint32_t>(item.child(tag::protocol_version_major)->as_integer().value()),
        static_cast<std::uint32_t>(item.child(tag::protocol_version_minor)->as_integer().value())};
  }

private:
  static void write_refusal(ttlv_writer& w) {
    const ttlv_scope batch(w, tag::batch_item);
    w.enumeration(tag::result_status, result_status::operation_failed);
    w.enumeration(tag::result_reason, result_reason::invalid_message);
  }

  void answer_item(ttlv_writer& w, const ttlv_item& item, protocol_version version) {
    const auto o = static_cast<operation>(item.child(tag::operation)->as_enumeration().value());
    seen.push_back(o);
    const ttlv_scope batch(w, tag::batch_item);
    w.enumeration(tag::operation, o);
    if (const auto id = item.child(tag::unique_batch_item_id))
      w.octets(tag::unique_batch_item_id, id->value());
    if (const auto failure = failing.find(o); failure != failing.end()) {
      w.enumeration(tag::result_status, result_status::operation_failed);
      w.enumeration(tag::result_reason, failure->second);
      w.text(tag::result_message, "as the test wants");
      return;
    }
    w.enumeration(tag::result_status, result_status::success);
    const ttlv_scope payload(w, tag::response_payload);
    write_payload(w, o, item.child(tag::request_payload).value(), version);
  }

  static void write_version(ttlv_writer& w, protocol_version v) {
    const ttlv_scope scope(w, tag::protocol_version);
    w.integer(tag::protocol_version_major, static_cast<std::int32_t>(v.major));
    w.integer(tag::protocol_version_minor, static_cast<std::int32_t>(v.minor));
  }

  void write_payload(ttlv_writer& w, operation o, const ttlv_item& payload,
                     protocol_version version) {
    const auto id = payload.child(tag::unique_identifier);
    if (o == operation::discover_versions) {
      for (const protocol_version v : versions)
        write_version(w, v);
      return;
    }
    if (o == operation::query) {
      w.enumeration(tag::operation, operation::get);
      w.text(tag::vendor_identification, "fake");
      return;
    }
    if (o == operation::get || o == operation::create)
      w.enumeration(tag::object_type, object_type::symmetric_key);
    w.text(tag::unique_identifier, id ? id->as_text().value() : "created-1");
    if (o == operation::get)
      write_key(w);
    if (o == operation::get_attributes && version.major >= 2) {
      const ttlv_scope attributes(w, tag::attributes);
      w.enumeration(tag::state, state::active);
    } else if (o == operation::get_attributes) {
      const ttlv_scope attribute(w, tag::attribute);
      w.text(tag::attribute_name, "State");
      w.enumeration(tag::attribute_value, state::active);
    }
    if (o == operation::encrypt) {
      w.octets(tag::data, payload.child(tag::data)->value());
      w.octets(tag::iv_counter_nonce, bytes(12, 5));
      w.octets(tag::authenticated_encryption_tag, bytes(16, 6));
    }
    if (o == operation::decrypt)
      w.octets(tag::data, payload.child(tag::data)->value());
  }

  static void write_key(ttlv_writer& w) {
    const ttlv_scope object(w, tag::symmetric_key);
    const ttlv_scope block(w, tag::key_block);
    w.enumeration(tag::key_format_type, key_format::raw);
    w.open(tag::key_value);
    w.octets(tag::key_material, bytes(32, 7));
    w.close();
    w.enumeration(tag::cryptographic_algorithm, algorithm::aes);
    w.integer(tag::cryptographic_length, 256);
  }
};

} // namespace custos::kmip::testing
