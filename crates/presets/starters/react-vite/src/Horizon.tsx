type Props = {
  /** From 5, when the sun rises, to 21, when it sets. */
  hour: number;
};

/** A sun over the sea; it stands where the hour says. */
export function Horizon({ hour }: Props) {
  const day = (hour - 5) / 16;
  const x = 40 + day * 560;
  const y = 168 - Math.sin(day * Math.PI) * 116;

  return (
    <svg className="horizon" viewBox="0 0 640 220" aria-hidden="true">
      <circle className="sun" r="34" cx="0" cy="0" style={{ transform: `translate(${x}px, ${y}px)` }} />
      <path className="far" d="M0 168c53-14 107-14 160 0s107 14 160 0 107-14 160 0 107 14 160 0v52H0z" />
      <path className="near" d="M0 192c53 14 107 14 160 0s107-14 160 0 107 14 160 0 107-14 160 0v28H0z" />
    </svg>
  );
}
