#pragma once
// Asks any node of several: every one in turn, beginning with the one that answered last, until
// one is there (any node answers any request). Thread rule: one actor's; answers of the client come
// on its threads and go on only through `in_owner`. Lifetime: the owner drops what it is given to
// run once it has ended.

#include "adapters/http/http.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace custos::host {

class node_caller {
public:
  using answered = std::function<void(result<http::response>)>;
  using runner = std::function<void(std::function<void()>)>;

  /// `in_owner` may be called on any thread.
  explicit node_caller(runner in_owner) : in_owner_(std::move(in_owner)) {}

  /// `through` is the client of the configuration that asks: another one may be in force, or none,
  /// when the next node's turn comes. At least one node, as "https://host:port".
  void ask(std::shared_ptr<http::client> through, std::string method,
           std::vector<std::string> nodes, std::string path, std::string body,
           std::vector<http::header> headers, answered finish);

  /// Which of `nodes` is asked first.
  [[nodiscard]] const std::string& preferred(const std::vector<std::string>& nodes) const {
    return nodes[preferred_ % nodes.size()];
  }

private:
  struct question;
  void call(question q);

  runner in_owner_;
  std::size_t preferred_ = 0;
};

} // namespace custos::host
