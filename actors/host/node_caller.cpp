#include "actors/host/node_caller.hpp"

#include <chrono>

namespace custos::host {

namespace {

constexpr std::chrono::milliseconds call_timeout{10000};

/// Another node may do better: this one is not there, or a proxy before it says so.
bool is_away(const result<http::response>& r) {
  return !r || r->status == 502 || r->status == 503 || r->status == 504;
}

} // namespace

struct node_caller::question {
  std::shared_ptr<http::client> through;
  std::string method;
  std::vector<std::string> nodes;
  std::string path;
  std::string body;
  std::vector<http::header> headers;
  answered finish;
  std::size_t first = 0; ///< node to begin with
  std::size_t tried = 0;
};

void node_caller::ask(std::shared_ptr<http::client> through, std::string method,
                      std::vector<std::string> nodes, std::string path, std::string body,
                      std::vector<http::header> headers, answered finish) {
  call({std::move(through), std::move(method), std::move(nodes), std::move(path), std::move(body),
        std::move(headers), std::move(finish), preferred_, 0});
}

void node_caller::call(question q) {
  const auto index = (q.first + q.tried) % q.nodes.size();
  http::call c;
  c.method = q.method;
  c.url = q.nodes[index] + q.path;
  c.body = q.body;
  c.headers = q.headers;
  c.timeout = call_timeout;
  const auto through = q.through;
  through->send(std::move(c), [this, index, in_owner = in_owner_,
                               q = std::move(q)](result<http::response> r) mutable {
    in_owner([this, index, q = std::move(q), r = std::move(r)]() mutable {
      const bool away = is_away(r);
      if (away && ++q.tried < q.nodes.size())
        return call(std::move(q));
      if (!away)
        preferred_ = index;
      q.finish(std::move(r));
    });
  });
}

} // namespace custos::host
