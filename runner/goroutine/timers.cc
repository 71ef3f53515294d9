#include "runner/goroutine/timers.h"

namespace sloth {

// Each list is a ring in the order of adding.
void Timers::add(TimerNode& node, std::int64_t due) {
  remove(node);
  node.due = due;
  node.linked = true;
  if (latest_ == lists_.end() || latest_->first != due) latest_ = lists_.try_emplace(due, nullptr).first;
  TimerNode*& first = latest_->second;
  if (first == nullptr) {
    node.previous = node.next = &node;
  } else {
    node.previous = first->previous;
    node.next = first;
    first->previous->next = &node;
    first->previous = &node;
    return;
  }
  first = &node;
}

void Timers::remove(TimerNode& node) {
  if (!node.linked) return;
  node.linked = false;
  const auto list = latest_ != lists_.end() && latest_->first == node.due ? latest_ : lists_.find(node.due);
  if (node.next == &node) {
    if (latest_ == list) latest_ = lists_.end();
    lists_.erase(list);
    return;
  }
  node.previous->next = node.next;
  node.next->previous = node.previous;
  if (list->second == &node) list->second = node.next;
}

TimerNode* Timers::take_due(std::int64_t now) {
  if (lists_.empty() || lists_.begin()->first > now) return nullptr;
  TimerNode* node = lists_.begin()->second;
  remove(*node);
  return node;
}

}  // namespace sloth
