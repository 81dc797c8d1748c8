-- Carry out the steps of a batch in order. Each answers, or fails, by itself. Nobody waits in a
-- queue here, so to leave it is to release what may have been granted, and a beat finds nothing.
-- KEYS the key of each step   ARGV for each step its name and what it takes besides the key
-- returns the steps' answers
local answers, at = {}, 1
for number = 1, #KEYS do
  local key, step = KEYS[number], ARGV[at]
  if step == 'acquire' then
    answers[number] = acquire(key, ARGV[at + 1], ARGV[at + 2], ARGV[at + 3])
    at = at + 4
  elseif step == 'release' then
    answers[number] = release(key, ARGV[at + 1])
    at = at + 2
  elseif step == 'extend' then
    answers[number] = extend(key, ARGV[at + 1], ARGV[at + 2])
    at = at + 3
  elseif step == 'beat' then
    answers[number] = -1
    at = at + 1
  elseif step == 'unsupported' then
    answers[number] = { err = 'UNSUPPORTED' }
    at = at + 1
  else
    answers[number] = read(key)
    at = at + 1
  end
end
return answers
