-- Carry out the steps of a batch in order. Each answers, or fails, by itself.
-- KEYS the fence, then for each step its lock and its queue
-- ARGV our process, 1 if the server has met version 2, then the steps in runs that are alike: their
--      name, how many they are, what they have in common, then for each what it takes besides
-- returns the steps' answers
local answers, number, key, at = {}, 0, 2, 3
local locks, values, most = KEYS, ARGV, #KEYS
local name, left, owner, ttl, wait = nil, 0

local function go_on()
  while key < most do
    if left == 0 then
      name, left, at = values[at], tonumber(values[at + 1]), at + 2
      if name == 'acquire' or name == 'share' then
        owner, ttl, wait, at = values[at], values[at + 1], values[at + 2], at + 3
      end
    end
    local lock, queue, first = locks[key], locks[key + 1], at
    -- If the step fails, what follows goes on behind it.
    key, left, number = key + 2, left - 1, number + 1
    if name == 'acquire' then
      at = first + 1
      answers[number] = acquire(lock, queue, values[first], owner, ttl, wait)
    elseif name == 'share' then
      at = first + 1
      answers[number] = queued().acquire(lock, queue, values[first], owner, ttl, wait == '1')
    elseif name == 'release' then
      at = first + 1
      answers[number] = release(lock, queue, values[first])
    elseif name == 'extend' then
      at = first + 2
      answers[number] = extend(lock, queue, values[first], values[first + 1])
    elseif name == 'abandon' then
      at = first + 3
      answers[number] = queued().abandon(lock, queue, unpack(values, first, at - 1))
    elseif name == 'beat' then
      at = first + 4
      answers[number] = queued().beat(lock, queue, unpack(values, first, at - 1))
    elseif name == 'steal' then
      at = first + 3
      answers[number] = queued().steal(lock, queue, unpack(values, first, at - 1))
    elseif name == 'all' then
      key = most + 1
      answers[number] = queued().all(values, first)
    elseif name == 'list' then
      answers[number] = queued().list(lock, queue)
    else
      answers[number] = read(lock)
    end
  end
end

repeat
  local done, failure = pcall(go_on)
  if not done then answers[number] = refused(failure) end
until done
return finish(answers)
