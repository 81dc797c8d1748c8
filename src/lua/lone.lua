-- A step alone, with nobody else waiting, is what most batches are: it is done with before anything is
-- made that it does not need. What is not done here goes on below.
if #KEYS == 3 then
  local lock = KEYS[2]
  if ARGV[3] == 'acquire' then
    if call('EXISTS', lock, KEYS[3]) == 0 then
      local done, answer = pcall(take, lock, ARGV[8], ARGV[5], ARGV[6])
      return finish({ done and answer or refused(answer) })
    end
  elseif ARGV[3] == 'release' then
    local holder = redis.pcall('HMGET', lock, 'id', 'queued')
    if holder.err then return { holder } end
    if holder[1] and holder[1] ~= ARGV[5] then return { 0 } end
    if holder[1] and not holder[2] then return { redis.pcall('DEL', lock) } end
  end
end
