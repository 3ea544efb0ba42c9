#pragma once
// What a node and a coordinator do alike with who wants a backup: body {"recipient": PEM of a
// P-256 public key}; the answer is the file as octets. On the audit log before and after.

#include "actors/gateway/router.hpp"
#include "messages/local.hpp"

#include <functional>
#include <string>

namespace custos::gateway {

struct backup_source {
  std::string action; ///< for the audit log
  /// Makes the file, sealed for this key; answers exactly once, from any thread.
  std::function<void(crypto::key, std::function<void(result<std::string>)>)> make;
  std::function<void(audit_record)> audit;
  std::function<http::response(const error&)> refuse; ///< an error as this API tells it
};

void answer_with_backup(const routed_request& r, const http::responder& respond,
                        const backup_source& from);

} // namespace custos::gateway
