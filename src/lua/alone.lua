-- Carry out steps while the slot of their locks is being moved in a Cluster, where some keys of a lock are at
-- another node: on the lock's own key alone. Those who wait find out by their next beat. What takes more is
-- refused as the Cluster does.
-- KEYS the lock of each step   ARGV for each step its name and what it takes besides the key
-- returns the steps' answers: 1 done | 0 not held by us | who holds it, as read.lua
local answers, at = {}, 1
for number = 1, #KEYS do
  local key, step, answer = KEYS[number], ARGV[at], 0
  local holder = redis.pcall('HMGET', key, 'id', 'owner', 'fence', 'capacity')
  if holder.err then
    answer = holder
  elseif holder[4] then
    answer = { err = 'TRYAGAIN The slot of a lock that is shared is being moved' }
  elseif step == 'read' then
    answer = { holder[1], holder[2], holder[3], redis.pcall('PTTL', key), false }
  elseif holder[1] == ARGV[at + 1] then
    answer = step == 'release' and redis.pcall('DEL', key) or redis.pcall('PEXPIRE', key, ARGV[at + 2])
  end
  answers[number] = answer
  at = at + (step == 'read' and 1 or step == 'release' and 2 or 3)
end
return answers
