-- A step alone, with nobody else waiting, is what most batches are: it is done with before anything is
-- made that it does not need. What is not done here goes on below.
if #KEYS == 3 then
  local lock, id = KEYS[2], ARGV[4]
  if ARGV[3] == 'acquire' then
    if call('EXISTS', lock, KEYS[3]) == 0 then
      return finish({ answer_of(pcall(take, lock, id, ARGV[5], ARGV[6])) })
    end
  elseif ARGV[3] == 'release' then
    local holder = redis.pcall('HMGET', lock, 'id', 'queued')
    if holder.err then return { holder } end
    if holder[1] ~= id then return { 0 } end
    if not holder[2] then return { redis.pcall('DEL', lock) } end
  end
end
