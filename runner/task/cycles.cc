#include "runner/task/cycles.h"

#include <algorithm>
#include <limits>

namespace sloth {
namespace {

using Node = std::uint32_t;
constexpr Node kNone = std::numeric_limits<Node>::max();

// The strongly connected component of each node. With an explicit stack: a chain of tasks may be longer
// than the machine's stack is deep.
std::vector<Node> components(const Edges& edges) {
  struct Frame {
    Node node;
    std::size_t next_edge;
  };
  std::vector<Node> component(edges.size(), kNone), index(edges.size(), kNone), low(edges.size(), kNone);
  std::vector<Node> open;
  std::vector<Frame> frames;
  Node next_index = 0, next_component = 0;
  for (Node root = 0; root < edges.size(); ++root) {
    if (index[root] != kNone) continue;
    frames.push_back({root, 0});
    while (!frames.empty()) {
      const Node node = frames.back().node;
      if (frames.back().next_edge == 0) {
        index[node] = low[node] = next_index++;
        open.push_back(node);
      }
      Node child = kNone;
      while (child == kNone && frames.back().next_edge < edges[node].size()) {
        const Node to = edges[node][frames.back().next_edge++];
        if (index[to] == kNone) {
          child = to;
        } else if (component[to] == kNone) {
          low[node] = std::min(low[node], index[to]);
        }
      }
      if (child != kNone) {
        frames.push_back({child, 0});
        continue;
      }
      if (low[node] == index[node]) {
        Node member;
        do {
          member = open.back();
          open.pop_back();
          component[member] = next_component;
        } while (member != node);
        ++next_component;
      }
      frames.pop_back();
      if (!frames.empty()) low[frames.back().node] = std::min(low[frames.back().node], low[node]);
    }
  }
  return component;
}

// The shortest path from `from` to `to` within their common component, both ends included.
std::vector<Node> shortest_path(const Edges& edges, const std::vector<Node>& component, Node from, Node to) {
  std::vector<Node> reached_from(edges.size(), kNone);
  std::vector<Node> queue{from};
  reached_from[from] = from;
  for (std::size_t head = 0; head < queue.size() && reached_from[to] == kNone; ++head) {
    for (const Node next : edges[queue[head]]) {
      if (component[next] != component[from] || reached_from[next] != kNone) continue;
      reached_from[next] = queue[head];
      queue.push_back(next);
    }
  }
  std::vector<Node> path{to};
  while (path.back() != from) path.push_back(reached_from[path.back()]);
  std::reverse(path.begin(), path.end());
  return path;
}

}  // namespace

std::vector<std::vector<Node>> find_cycles(const Edges& edges, std::size_t limit) {
  const std::vector<Node> component = components(edges);
  std::vector<std::vector<bool>> covered(edges.size());
  for (Node node = 0; node < edges.size(); ++node) covered[node].resize(edges[node].size());
  const auto cover = [&](Node from, Node to) {
    const auto& out = edges[from];
    covered[from][static_cast<std::size_t>(std::find(out.begin(), out.end(), to) - out.begin())] = true;
  };

  std::vector<std::vector<Node>> cycles;
  for (Node node = 0; node < edges.size(); ++node) {
    for (std::size_t edge = 0; edge < edges[node].size(); ++edge) {
      const Node to = edges[node][edge];
      if (component[to] != component[node] || covered[node][edge]) continue;
      if (cycles.size() == limit) return cycles;
      std::vector<Node> cycle = shortest_path(edges, component, to, node);
      for (std::size_t i = 0; i < cycle.size(); ++i) cover(cycle[i], cycle[(i + 1) % cycle.size()]);
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end()), cycle.end());
      cycles.push_back(std::move(cycle));
    }
  }
  return cycles;
}

}  // namespace sloth
