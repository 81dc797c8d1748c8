-- Carry out the steps of a batch in order. Each answers, or fails, by itself.
-- KEYS the fence, then for each step its lock and its queue
-- ARGV our process, 1 if the server has met version 2, then for each step its name and what it takes
--      besides the keys
-- returns the steps' answers
local answers, at, number = {}, 3, 0
for key = 2, #KEYS, 2 do
  local lock, queue, step = KEYS[key], KEYS[key + 1], ARGV[at]
  local answer
  if step == 'acquire' then
    local id, owner, ttl, wait = unpack(ARGV, at + 1, at + 4)
    answer = answer_of(pcall(acquire, lock, queue, id, owner, ttl, wait))
    at = at + 5
  elseif step == 'release' then
    answer = answer_of(pcall(release, lock, queue, ARGV[at + 1]))
    at = at + 2
  elseif step == 'extend' then
    answer = answer_of(pcall(extend, lock, queue, ARGV[at + 1], ARGV[at + 2]))
    at = at + 3
  elseif step == 'abandon' then
    local abandon = queued().abandon
    answer = answer_of(pcall(abandon, lock, queue, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]))
    at = at + 4
  elseif step == 'beat' then
    local beat = queued().beat
    answer = answer_of(pcall(beat, lock, queue, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]))
    at = at + 5
  else
    answer = answer_of(pcall(read, lock))
    at = at + 1
  end
  number = number + 1
  answers[number] = answer
end
return finish(answers)
